// The browser's part of vosedu.teaching.image.Image: a picture with its text, that says where in it, in its own pixels, was clicked.
export default { render({ model, el }) {
  const img = document.createElement("img");
  img.alt = model.get("alt"); img.draggable = false; img.className = "vosedu-image";
  Object.assign(img.style, { width: `${model.get("width")}px`, maxWidth: "100%", height: "auto" });
  let url = null;
  const show = () => {
    if (url) URL.revokeObjectURL(url);
    url = URL.createObjectURL(new Blob([model.get("value")], { type: "image/jpeg" }));
    img.src = url;
  };
  if (model.get("clickable")) {
    img.style.cursor = "crosshair";
    img.onclick = (e) => {
      const box = img.getBoundingClientRect();
      model.set("point", [Math.floor((e.clientX - box.left) / box.width * img.naturalWidth),
                          Math.floor((e.clientY - box.top) / box.height * img.naturalHeight)]);
      model.save_changes();
    };
  }
  model.on("change:value", show);
  el.append(img); show();
  const unname = nameControls(el);
  return () => { unname(); model.off("change:value", show); if (url) URL.revokeObjectURL(url); };
} };
