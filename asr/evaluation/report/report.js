"use strict";
// The utterances: a list that draws only the rows in view, and one chosen utterance in detail.
// A step is [kind, said, heard, confidence, start, end]; kinds: 0 hit, 1 substitution, 2 deletion, 3 insertion.
(() => {
  const { systems, utterances } = JSON.parse(document.getElementById("data").textContent);
  const KINDS = ["hit", "sub", "del", "ins"];
  const ROW = 64;
  const $ = (id) => document.getElementById(id);
  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const show = (value, digits = 1) => (value === null || value === undefined ? "–" : value.toFixed(digits));

  // ---- columns, order, filters -------------------------------------------------------------------------------
  const columns = [{ name: "utterance", width: "minmax(0,1fr)", key: (u) => u.id, digits: null }];
  columns.push({ name: "seconds", width: "64px", key: (u) => u.seconds });
  if (utterances.some((u) => u.snr !== null)) columns.push({ name: "SNR dB", width: "60px", key: (u) => u.snr });
  systems.forEach((name, i) => {
    const title = systems.length > 1 ? "WER " + name : "WER %";
    columns.push({ name: title, width: "76px", key: (u) => u.systems[i] && u.systems[i].wer });
  });
  if (systems.length === 2) columns.push({ name: "B − A errors", width: "92px", digits: 0, key: (u) => gain(u) });
  else columns.push({ name: "confidence", width: "84px", digits: 2, key: (u) => u.systems[0] && u.systems[0].confidence });
  function gain(u) {
    return u.systems[0] && u.systems[1] ? u.systems[1].errors - u.systems[0].errors : null;
  }

  const filters = { "all utterances": () => true, "with errors": (u) => u.systems.some((s) => s && s.errors > 0) };
  filters["without errors"] = (u) => u.systems.every((s) => s && s.errors === 0);
  if (systems.length === 2) {
    filters["better in " + systems[1]] = (u) => gain(u) < 0;
    filters["worse in " + systems[1]] = (u) => gain(u) > 0;
  }
  const sets = [...new Set(utterances.map((u) => u.set))];
  if (sets.length > 1) sets.forEach((set) => (filters["set: " + set] = (u) => u.set === set));
  Object.keys(filters).forEach((name) => $("filter").append(make("option", "", name)));

  const haystacks = utterances.map((u) =>
    [u.id, u.set, u.speaker, u.tags, u.said, ...u.systems.map((s) => (s ? s.heard : ""))].join("\n").toLowerCase());
  let sorted = columns.findIndex((c) => c.name.startsWith("WER"));
  let falling = true;
  let pair = null;
  let view = [];
  let chosen = null;

  function refresh() {
    const words = $("search").value.toLowerCase().trim();
    const keep = filters[$("filter").value] || (() => true);
    view = utterances.map((_, i) => i).filter((i) => keep(utterances[i]) && haystacks[i].includes(words) && hasPair(utterances[i]));
    const key = columns[sorted].key;
    view.sort((a, b) => compareValues(key(utterances[a]), key(utterances[b])) || a - b);
    $("count").textContent = view.length + " of " + utterances.length;
    $("spacer").style.height = view.length * ROW + "px";
    $("viewport").scrollTop = 0;
    drawHeading();
    drawRows();
  }
  function compareValues(a, b) { // what is not known comes last either way
    if (a === null || a === undefined) return b === null || b === undefined ? 0 : 1;
    if (b === null || b === undefined) return -1;
    const order = typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b;
    return falling ? -order : order;
  }
  function hasPair(u) {
    if (!pair) return true;
    const found = u.systems[pair.system];
    return Boolean(found) && found.steps.some((s) => s[0] > 0 && s[1] === pair.said && s[2] === pair.heard);
  }

  // ---- the list ------------------------------------------------------------------------------------------------
  document.documentElement.style.setProperty("--columns", columns.map((c) => c.width).join(" "));
  function drawHeading() {
    $("heading").replaceChildren(...columns.map((column, i) => {
      const button = make("button", "", column.name + (i === sorted ? (falling ? " ▼" : " ▲") : ""));
      button.title = "Sort by " + column.name;
      if (i === sorted) button.setAttribute("aria-sort", falling ? "descending" : "ascending");
      button.onclick = () => {
        falling = i === sorted ? !falling : i > 0;
        sorted = i;
        refresh();
      };
      return button;
    }));
  }
  function drawRows() {
    const box = $("viewport");
    const first = Math.max(0, Math.floor(box.scrollTop / ROW) - 5);
    const last = Math.min(view.length, Math.ceil((box.scrollTop + box.clientHeight) / ROW) + 5);
    $("spacer").replaceChildren(...view.slice(first, last).map((index, i) => row(index, first + i)));
  }
  function row(index, place) {
    const u = utterances[index];
    const element = make("div", "row" + (index === chosen ? " chosen" : ""));
    element.style.top = place * ROW + "px";
    element.dataset.index = index;
    const what = make("span", "what");
    const line = make("span", "line");
    const best = u.systems.find((s) => s);
    if (best) line.append(...inline(best.steps));
    what.append(line, make("small", "", [u.set, u.speaker, u.id].filter(Boolean).join(" · ")));
    element.append(what, ...columns.slice(1).map((c) => make("span", "", show(c.key(u), c.digits ?? 1))));
    element.onclick = () => choose(index);
    return element;
  }
  function inline(steps) { // hits plain; "said" crossed out for deletions; what was heard marked
    return steps.flatMap(([kind, said, heard]) => {
      if (kind === 0) return [document.createTextNode(said + " ")];
      const mark = make("mark", KINDS[kind], kind === 1 ? said + "→" + heard : said || heard);
      return [mark, document.createTextNode(" ")];
    });
  }

  // ---- one utterance -------------------------------------------------------------------------------------------
  let player = null;
  let address = null;
  function choose(index) {
    chosen = index;
    drawRows();
    const u = utterances[index];
    const facts = [u.set, u.speaker, show(u.seconds, 2) + " s", u.snr === null ? "" : show(u.snr) + " dB SNR", u.tags];
    $("detail").replaceChildren(make("h3", "", u.id), make("div", "facts", facts.filter(Boolean).join(" · ")));
    addPlayer(index, u);
    u.systems.forEach((found, i) => addSystem(found, i));
    const legend = make("p", "legend");
    legend.append(make("mark", "sub", "substituted"), " ", make("mark", "del", "left out"), " ", make("mark", "ins", "put in"));
    legend.append(" Above: what was said; below: what was heard; the bar is the confidence. Press a word to hear it.");
    $("detail").append(legend);
  }
  function addPlayer(index, u) {
    if (player) player.pause();
    player = null;
    if (address) URL.revokeObjectURL(address);
    address = null;
    const holder = $("audio-" + index);
    if (!holder) {
      $("detail").append(make("p", "hint", "No sound: " + (u.audio || "not given")));
      return;
    }
    const bytes = Uint8Array.from(atob(holder.textContent), (c) => c.charCodeAt(0));
    const type = bytes[0] === 0x4f && bytes[1] === 0x67 ? "audio/ogg" : "audio/mpeg";
    address = URL.createObjectURL(new Blob([bytes], { type }));
    player = make("audio");
    player.controls = true;
    player.src = address;
    player.ontimeupdate = followPlayer;
    const button = make("button", "spectrogram", "Spectrogram");
    button.onclick = () => drawSpectrogram(bytes, button);
    $("detail").append(player, button);
  }
  function followPlayer() {
    const now = player.currentTime;
    document.querySelectorAll(".step[data-time]").forEach((element) =>
      element.classList.toggle("now", now >= element.dataset.time && now < element.dataset.end));
    const cursor = document.querySelector(".cursor");
    if (cursor && player.duration) cursor.style.left = (100 * now) / player.duration + "%";
  }
  function addSystem(found, i) {
    const title = (systems.length > 1 ? systems[i] + ": " : "") + (found ? "WER " + show(found.wer) + " %" : "no answer");
    $("detail").append(make("h4", "", title));
    if (!found) return;
    const box = make("div", "aligned");
    box.append(...found.steps.map(stepElement));
    $("detail").append(box);
    if (found.best.length) {
      const list = make("ol", "best");
      found.best.forEach(([text, score]) => {
        const item = make("li", "", text + " ");
        item.append(make("small", "", show(score, 2)));
        list.append(item);
      });
      $("detail").append(make("h4", "", "Other readings"), list);
    }
  }
  function stepElement([kind, said, heard, confidence, start, end]) {
    const element = make("span", "step " + KINDS[kind]);
    element.append(make("span", "said", said || "·"), make("span", "heard", heard || "·"));
    const bar = make("i");
    if (confidence !== null) {
      const level = make("b", confidence < 0.5 ? "low" : confidence < 0.8 ? "middle" : "");
      level.style.width = 100 * confidence + "%";
      bar.append(level);
      element.title = "confidence " + confidence.toFixed(2) + (start === null ? "" : ", " + start.toFixed(2) + " to " + end.toFixed(2) + " s");
    }
    element.append(bar);
    if (start !== null) {
      element.dataset.time = start;
      element.dataset.end = end;
      element.onclick = () => {
        if (player) {
          player.currentTime = Math.max(0, start - 0.05);
          player.play();
        }
      };
    }
    return element;
  }

  // ---- spectrogram: 25 ms Hann windows, 512 points, 0 to 8 kHz, 80 dB --------------------------------------------
  async function drawSpectrogram(bytes, button) {
    button.disabled = true;
    const context = new OfflineAudioContext(1, 1, 16000); // decodes to 16 kHz
    const samples = (await context.decodeAudioData(bytes.buffer.slice(0))).getChannelData(0);
    const width = Math.min(1200, Math.max(200, Math.floor(samples.length / 160)));
    const hop = samples.length / width;
    const columnsDb = Array.from({ length: width }, (_, i) => powers(samples, Math.floor(i * hop)));
    const canvas = make("canvas");
    canvas.width = width;
    canvas.height = 256;
    const paint = canvas.getContext("2d");
    const image = paint.createImageData(width, 256);
    const top = columnsDb.reduce((most, column) => column.reduce((a, b) => Math.max(a, b), most), -200);
    columnsDb.forEach((column, x) => column.forEach((db, bin) => {
      const [r, g, b] = colour(Math.max(0, 1 + (db - top) / 80));
      image.data.set([r, g, b, 255], 4 * ((255 - bin) * width + x));
    }));
    paint.putImageData(image, 0, 0);
    const picture = make("div", "picture");
    picture.append(canvas, make("div", "cursor"));
    picture.onclick = (event) => {
      if (player && player.duration) player.currentTime = (player.duration * event.offsetX) / picture.clientWidth;
    };
    button.replaceWith(picture);
  }
  function powers(samples, first) {
    const re = new Float64Array(512);
    const im = new Float64Array(512);
    for (let i = 0; i < 400; i++) {
      const hann = 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / 399);
      re[i] = (samples[first + i] || 0) * hann;
    }
    fft(re, im);
    return Array.from({ length: 256 }, (_, k) => 10 * Math.log10(re[k] * re[k] + im[k] * im[k] + 1e-12));
  }
  function fft(re, im) { // radix 2, in place
    const n = re.length;
    for (let i = 1, j = 0; i < n; i++) {
      let bit = n >> 1;
      for (; j & bit; bit >>= 1) j ^= bit;
      j ^= bit;
      if (i < j) [re[i], re[j]] = [re[j], re[i]];
    }
    for (let size = 2; size <= n; size <<= 1) {
      for (let start = 0; start < n; start += size) {
        for (let k = 0; k < size / 2; k++) {
          const angle = (-2 * Math.PI * k) / size;
          const a = start + k;
          const b = a + size / 2;
          const x = re[b] * Math.cos(angle) - im[b] * Math.sin(angle);
          const y = re[b] * Math.sin(angle) + im[b] * Math.cos(angle);
          [re[b], im[b], re[a], im[a]] = [re[a] - x, im[a] - y, re[a] + x, im[a] + y];
        }
      }
    }
  }
  const MAGMA = [[0, 0, 4], [59, 15, 112], [140, 41, 129], [222, 73, 104], [254, 159, 109], [252, 253, 191]];
  function colour(level) {
    const place = Math.min(level, 0.9999) * (MAGMA.length - 1);
    const low = Math.floor(place);
    return MAGMA[low].map((from, i) => from + (place - low) * (MAGMA[low + 1][i] - from));
  }

  // ---- controls --------------------------------------------------------------------------------------------------
  $("search").oninput = refresh;
  $("filter").onchange = refresh;
  $("viewport").onscroll = () => requestAnimationFrame(drawRows);
  $("viewport").onkeydown = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const place = Math.min(view.length - 1, Math.max(0, view.indexOf(chosen) + step));
    if (view.length) choose(view[place]);
    $("viewport").scrollTop = Math.min(Math.max($("viewport").scrollTop, (place + 1) * ROW - $("viewport").clientHeight), place * ROW);
  };
  document.querySelectorAll(".pair[data-system]").forEach((button) => {
    button.onclick = () => {
      pair = { system: Number(button.dataset.system), said: button.dataset.said, heard: button.dataset.heard };
      $("pair").textContent = (pair.said || "∅") + " → " + (pair.heard || "∅") + " ✕";
      $("pair").hidden = false;
      refresh();
      $("utterances").scrollIntoView();
    };
  });
  $("pair").onclick = () => {
    pair = null;
    $("pair").hidden = true;
    refresh();
  };
  refresh();
})();
