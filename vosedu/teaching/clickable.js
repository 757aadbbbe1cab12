// The browser's part of vosedu.teaching.clickable.Clickable: it shows a picture and says where in it, in its own pixels, was clicked.
export default { render({ model, el }) {
  const img = document.createElement("img");
  Object.assign(img.style, { maxWidth: "100%", cursor: "crosshair" });
  img.alt = model.get("alt"); img.draggable = false; img.className = "clickable";
  let url = null;
  const show = () => {
    if (url) URL.revokeObjectURL(url);
    url = URL.createObjectURL(new Blob([model.get("value")], { type: "image/jpeg" }));
    img.src = url;
  };
  img.onclick = (e) => {
    const box = img.getBoundingClientRect();
    model.set("point", [Math.floor((e.clientX - box.left) / box.width * img.naturalWidth),
                        Math.floor((e.clientY - box.top) / box.height * img.naturalHeight)]);
    model.save_changes();
  };
  model.on("change:value", show);
  el.append(img); show();
  return () => { model.off("change:value", show); if (url) URL.revokeObjectURL(url); };
} };
