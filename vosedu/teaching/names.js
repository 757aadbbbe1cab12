// ipywidgets leaves the handles of its sliders and the buttons of its play control without names. This gives them theirs, in the
// output in which `el` stands, now and whenever something is added to it; it returns a function that ends this.
function nameControls(el) {
  let box = null, ended = false;
  const name = () => {
    for (const row of box.querySelectorAll(".widget-inline-hbox"))
      for (const handle of row.querySelectorAll("[role=slider]"))
        handle.setAttribute("aria-label", row.querySelector(".widget-label")?.textContent || "slider");
    for (const play of box.querySelectorAll(".widget-play"))
      ["play or pause", "stop", "repeat"].forEach((words, k) => play.querySelectorAll("button")[k]?.setAttribute("aria-label", words));
  };
  const observer = new MutationObserver(name);
  const begin = () => {
    if (ended) return;
    box = el.closest(".jp-OutputArea-output") ?? el.parentElement;
    if (!el.isConnected || !box) { requestAnimationFrame(begin); return; }
    name();
    observer.observe(box, { childList: true, subtree: true });
  };
  begin();
  return () => { ended = true; observer.disconnect(); };
}
