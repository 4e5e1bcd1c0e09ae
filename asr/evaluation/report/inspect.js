"use strict";
// A player, and a cursor that runs along the pictures, the words and what live would have shown at that moment.
(() => {
  const { words, live } = JSON.parse(document.getElementById("data").textContent);
  const player = document.querySelector("audio");
  const bytes = Uint8Array.from(atob(document.getElementById("sound").textContent), (c) => c.charCodeAt(0));
  player.src = URL.createObjectURL(new Blob([bytes], { type: "audio/ogg" }));
  const make = (tag, text) => {
    const element = document.createElement(tag);
    element.textContent = text;
    return element;
  };
  const seek = (seconds) => {
    player.currentTime = Math.max(0, seconds);
    draw();
  };

  const buttons = words.map(([text, start, end, confidence]) => {
    const button = make("button", text);
    button.title = start.toFixed(2) + " to " + end.toFixed(2) + " s" + (confidence === null ? "" : ", confidence " + confidence.toFixed(2));
    if (confidence !== null) button.style.setProperty("--sure", "hsl(" + Math.round(130 * confidence * confidence) + " 65% 45%)");
    button.onclick = () => {
      seek(start - 0.05);
      player.play();
    };
    return button;
  });
  document.getElementById("words").append(...(buttons.length ? buttons : [make("span", "no words heard")]));

  const strips = [...document.querySelectorAll(".strip")].map((element) => {
    const { from, to, left, right } = Object.fromEntries(Object.entries(element.dataset).map(([k, v]) => [k, Number(v)]));
    element.onclick = (event) => {
      const share = (event.clientX - element.getBoundingClientRect().left) / element.clientWidth;
      seek(from + (to - from) * Math.min(1, Math.max(0, (share - left) / (right - left))));
    };
    return { element, from, to, left, right, cursor: element.querySelector(".cursor") };
  });

  function draw() {
    const now = player.currentTime;
    strips.forEach((strip, i) => {
      const inside = now >= strip.from && (now < strip.to || (i === strips.length - 1 && now <= strip.to + 0.5));
      strip.cursor.style.display = inside ? "block" : "none";
      const share = Math.min(1, (now - strip.from) / (strip.to - strip.from));
      strip.cursor.style.left = 100 * (strip.left + (strip.right - strip.left) * share) + "%";
    });
    buttons.forEach((button, i) => button.classList.toggle("now", now >= words[i][1] && now < words[i][2]));
    drawLive(now);
  }
  function drawLive(now) { // an event is [seconds, text, stable characters or null for a final]
    const seen = live.filter((event) => event[0] <= now).pop();
    const box = document.getElementById("live");
    if (!seen) return box.replaceChildren(make("small", "live: nothing yet"));
    const [, text, stable] = seen;
    const kind = stable === null ? "live: the final" : "live: a partial; what is grey may still change";
    const kept = stable === null ? text.length : stable;
    box.replaceChildren(make("b", text.slice(0, kept)), make("i", text.slice(kept)), make("small", kind));
  }
  function follow() {
    draw();
    if (!player.paused && !player.ended) requestAnimationFrame(follow);
  }
  player.onplay = follow;
  player.onseeked = player.onpause = player.onended = draw;
  draw();
})();
