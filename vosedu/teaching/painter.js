// The browser's part of vosedu.teaching.painter.Painter: it shows a picture and collects strokes in the picture's own pixels.
export default { render({ model, el }) {
  const bar = document.createElement("div"), stage = document.createElement("div");
  const img = document.createElement("img"), canvas = document.createElement("canvas");
  Object.assign(bar.style, { display: "flex", gap: "8px", alignItems: "center", padding: "4px", flexWrap: "wrap" });
  Object.assign(stage.style, { position: "relative", display: "inline-block", touchAction: "none" });
  Object.assign(canvas.style, { position: "absolute", left: "0", top: "0", width: "100%", height: "100%", cursor: "crosshair" });
  img.alt = "the frame to paint on"; img.style.maxWidth = "100%"; img.draggable = false;
  canvas.tabIndex = 0; canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", "canvas: arrow keys move the cursor, with shift faster; Enter begins a stroke and ends it");
  const add = (tag, attributes, text, label) => {
    const node = Object.assign(document.createElement(tag), attributes);
    if (text) node.textContent = text;
    if (!label) { bar.append(node); return node; }
    const wrapped = document.createElement("label");
    wrapped.append(label + " ", node);
    bar.append(wrapped);
    return node;
  };
  const kind = add("select", { className: "painter-kind" }, "", "tool");
  for (const k of ["brush", "box", "ellipse"]) kind.append(new Option(k, k));
  const id = add("input", { type: "number", min: 0, max: 255, value: 1, style: "width:4em" }, "", "object (0 erases)");
  id.onchange = () => { id.value = Math.min(255, Math.max(0, Math.round(+id.value || 0))); };
  const radius = add("input", { type: "range", min: 1, max: 60, value: 12 }, "", "radius");
  const set = (strokes) => { model.set("strokes", strokes); model.save_changes(); };
  add("button", { onclick: () => model.send("undo") }, "undo");
  add("button", { onclick: () => set([]) }, "clear strokes");
  let url = null;
  const show = () => {
    const [width, height] = model.get("size");
    canvas.width = width; canvas.height = height; img.width = Math.min(2 * width, 854);
    if (url) URL.revokeObjectURL(url);
    url = URL.createObjectURL(new Blob([model.get("value")], { type: "image/jpeg" }));
    img.src = url;
  };
  let points = null;
  const at = (e) => { const box = canvas.getBoundingClientRect();
    return [Math.round((e.clientX - box.left) / box.width * canvas.width), Math.round((e.clientY - box.top) / box.height * canvas.height)]; };
  const draw = () => {
    const g = canvas.getContext("2d"), r = +radius.value, [x0, y0] = points[0], [x1, y1] = points[points.length - 1];
    g.clearRect(0, 0, canvas.width, canvas.height);
    g.strokeStyle = g.fillStyle = "rgba(255, 255, 255, 0.6)";
    if (kind.value === "box") g.fillRect(Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0));
    else if (kind.value === "ellipse") { g.beginPath();
      g.ellipse((x0 + x1) / 2, (y0 + y1) / 2, Math.abs(x1 - x0) / 2, Math.abs(y1 - y0) / 2, 0, 0, 7); g.fill(); }
    else { g.lineWidth = 2 * r; g.lineCap = g.lineJoin = "round"; g.beginPath(); g.moveTo(x0, y0);
      for (const p of points) g.lineTo(...p); g.lineTo(x1, y1 + 0.01); g.stroke(); }
  };
  canvas.onpointerdown = (e) => { canvas.setPointerCapture(e.pointerId); points = [at(e)]; draw(); };
  canvas.onpointermove = (e) => { if (points) { points.push(at(e)); draw(); } };
  const end = () => { if (!points) return;
    id.onchange();
    set([...model.get("strokes"), { kind: kind.value, id: +id.value, radius: +radius.value, points }]);
    points = null; canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height); };
  canvas.onpointerup = end;
  let cursor = null;
  const cross = () => { const g = canvas.getContext("2d"), [x, y] = cursor;
    if (points) draw(); else g.clearRect(0, 0, canvas.width, canvas.height);
    g.strokeStyle = "white"; g.lineWidth = 2; g.beginPath();
    g.moveTo(x - 9, y); g.lineTo(x + 9, y); g.moveTo(x, y - 9); g.lineTo(x, y + 9); g.stroke(); };
  canvas.onkeydown = (e) => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
    if (!move && e.key !== "Enter") return;
    e.preventDefault(); e.stopPropagation();
    cursor ??= [canvas.width >> 1, canvas.height >> 1];
    if (move) { const step = e.shiftKey ? 16 : 4;
      cursor = [Math.min(canvas.width - 1, Math.max(0, cursor[0] + step * move[0])),
        Math.min(canvas.height - 1, Math.max(0, cursor[1] + step * move[1]))];
      if (points) points.push(cursor);
    } else if (points) end(); else points = [cursor];
    cross(); };
  model.on("change:value", show);
  stage.append(img, canvas); el.append(bar, stage); show();
  const unname = nameControls(el);
  return () => { unname(); model.off("change:value", show); if (url) URL.revokeObjectURL(url); };
} };
