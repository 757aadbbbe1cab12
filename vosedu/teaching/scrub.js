// The browser's part of vosedu.teaching.states: the states of a widget, drawn beforehand, become controls without a kernel.
(() => {
  const add = (parent, tag, props = {}) => parent.appendChild(Object.assign(document.createElement(tag), props));
  let count = 0;

  const start = (figure) => {
    figure.dataset.ready = "yes";
    const data = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
    const img = figure.querySelector("img"), words = figure.querySelector(".vosedu-words");
    const at = data.axes.map((axis) => axis.start), setters = [], id = `vosedu-${count++}`;
    words.setAttribute("aria-live", "polite");

    const place = (values) => values.reduce((sum, value, k) => sum * data.axes[k].labels.length + value, 0);
    const url = (values) => data.pictures[data.which[place(values)]];
    const show = () => {
      const now = place(at);
      const said = data.axes.map((axis, k) => `${axis.name} ${axis.labels[at[k]]}`).join(", ");
      img.src = url(at);
      img.alt = `${data.alt}. ${said}. ${data.words[now]}`;
      words.textContent = data.words[now];
      data.axes.forEach((axis, k) => [at[k] - 1, at[k] + 1].forEach((value) => {  // the next pictures, before they are asked for
        if (value >= 0 && value < axis.labels.length) new Image().src = url(at.map((old, j) => (j === k ? value : old)));
      }));
    };
    const set = (k, value) => {
      at[k] = Math.max(0, Math.min(data.axes[k].labels.length - 1, value));
      setters[k](at[k]);
      show();
    };

    const slider = (axis, k, row) => {
      const label = add(row, "label", { htmlFor: `${id}-${k}`, textContent: axis.name });
      const input = add(row, "input", { type: "range", min: 0, max: axis.labels.length - 1, step: 1, id: label.htmlFor });
      const value = add(row, "output", { htmlFor: label.htmlFor });
      setters[k] = (now) => {
        input.value = now;
        value.textContent = axis.labels[now];
        input.setAttribute("aria-valuetext", axis.labels[now]);
      };
      input.oninput = () => set(k, Number(input.value));
      if (axis.play) play(axis, k, row);
    };
    const play = (axis, k, row) => {
      let timer = null;
      const button = add(row, "button", { type: "button", textContent: "play" });
      const stop = () => { clearInterval(timer); timer = null; button.textContent = "play"; };
      button.onclick = () => {
        if (timer) return stop();
        button.textContent = "stop";
        if (at[k] === axis.labels.length - 1) set(k, 0);
        timer = setInterval(() => (at[k] === axis.labels.length - 1 ? stop() : set(k, at[k] + 1)), axis.play);
      };
    };
    const choice = (axis, k, row) => {
      if (axis.labels.length > 5) {
        add(row, "label", { htmlFor: `${id}-${k}`, textContent: axis.name });
        const select = add(row, "select", { id: `${id}-${k}` });
        axis.labels.forEach((text) => add(select, "option", { textContent: text }));
        setters[k] = (now) => { select.selectedIndex = now; };
        select.onchange = () => set(k, select.selectedIndex);
        return;
      }
      const group = add(row, "fieldset");
      add(group, "legend", { textContent: axis.name });
      const inputs = axis.labels.map((text, value) => {
        const label = add(group, "label");
        const input = add(label, "input", { type: "radio", name: `${id}-${k}`, onchange: () => set(k, value) });
        label.append(` ${text}`);
        return input;
      });
      setters[k] = (now) => { inputs[now].checked = true; };
    };
    const switched = (axis, k, row) => {
      const label = add(row, "label");
      const input = add(label, "input", { type: "checkbox", onchange: () => set(k, Number(input.checked)) });
      label.append(` ${axis.name}`);
      setters[k] = (now) => { input.checked = Boolean(now); };
    };

    const box = add(figure, "div", { className: "vosedu-controls" });
    data.axes.forEach((axis, k) => {
      const row = add(box, "div", { className: `vosedu-${axis.kind}` });
      ({ slider, choice, switch: switched })[axis.kind](axis, k, row);
      setters[k](at[k]);
    });

    for (const control of box.querySelectorAll("input, select, button")) {
      control.dataset.lmSuppressShortcuts = "true";  // JupyterLab would take its keys
    }

    const name = (text) => data.axes.findIndex((axis) => axis.name === text);
    if (data.click && name("x") >= 0 && name("y") >= 0) {  // also a click on the picture; keys have the two sliders
      img.style.cursor = "crosshair";
      img.onclick = (event) => {
        const size = img.getBoundingClientRect();
        const x = (event.clientX - size.left) / size.width / data.click[0];
        const y = (event.clientY - size.top) / size.height / data.click[1];
        if (x > 1 || y > 1) return;
        [["x", x], ["y", y]].forEach(([text, share]) => {
          const k = name(text), numbers = data.axes[k].labels.map(Number), wanted = share * numbers[numbers.length - 1];
          const far = numbers.map((number) => Math.abs(number - wanted));
          set(k, far.indexOf(Math.min(...far)));
        });
      };
    }
  };
  document.querySelectorAll("figure.vosedu-states:not([data-ready])").forEach(start);
})();
