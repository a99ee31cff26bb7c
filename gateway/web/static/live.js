// Keeps an open page current. Without it the page is whole, and as new as it was when it was opened.
"use strict";
(() => {
  const news = document.getElementById("news");
  if (!window.EventSource || !news) return;
  const mine = document.body.dataset;
  const DATA = "New data came", MADE = "What was being simulated is done", DECIDED = "Somebody decided about a proposal";
  let busy = false, missed = "";

  const say = (text) => { news.hidden = false; news.firstElementChild.textContent = text; };

  async function renew(what) {
    if (busy) { missed = what; return; } // what came meanwhile may not be on what is being read
    busy = true;
    try {
      const answer = await fetch(mine.address + location.search, { cache: "no-store" });
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      let left = false;
      for (const part of document.querySelectorAll("[data-live]")) {
        const other = fresh.getElementById(part.id);
        const typed = [...part.querySelectorAll("input[type=text]")].some((each) => each.value !== each.defaultValue);
        if (!other || typed || part.contains(document.activeElement)) { left = true; continue; } // nobody loses their place
        const were = part.querySelectorAll("details"), are = other.querySelectorAll("details");
        if (were.length === are.length) are.forEach((each, at) => { each.open = were[at].open; });
        part.replaceWith(other);
      }
      mine.version = fresh.body.dataset.version;
      if (what === MADE && document.querySelector("[data-awaited]")) return; // not yet
      const whose = mine.twin ? `: version ${mine.version} of this twin` : "";
      say(left ? `${what}.` : `${what} and is shown${whose}.`);
    } catch {
      say(`${what}, and could not be shown.`);
    } finally {
      busy = false;
      if (missed) { const next = missed; missed = ""; renew(next); }
    }
  }

  const source = new EventSource("/events");
  const heard = (what) => (event) => {
    let told = {};
    try { told = JSON.parse(event.data); } catch { return; }
    if ((!mine.twin || told.twin === mine.twin) && !(told.version <= Number(mine.version))) renew(what);
  };
  source.addEventListener("twin", heard(DATA));
  source.addEventListener("warning", heard(DATA));
  source.addEventListener("proposal", heard(DECIDED));
  const made = heard(MADE), awaits = () => document.querySelector("[data-awaited]");
  source.addEventListener("made", (event) => { if (busy || awaits()) made(event); });
  source.addEventListener("gap", () => renew(DATA));
  source.addEventListener("open", () => { if (awaits()) renew(MADE); }); // it may have been done before
})();
