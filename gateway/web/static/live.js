// Keeps an open page current. Without it the page is whole, and as new as it was when it was opened.
"use strict";
(() => {
  const news = document.getElementById("news");
  if (!window.EventSource || !news) return;
  const mine = document.body.dataset;
  let busy = false;

  const say = (text) => { news.hidden = false; news.firstElementChild.textContent = text; };

  async function renew() {
    if (busy) return;
    busy = true;
    try {
      const answer = await fetch(mine.address + location.search, { cache: "no-store" });
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      let left = false;
      for (const part of document.querySelectorAll("[data-live]")) {
        const other = fresh.getElementById(part.id);
        if (!other || part.contains(document.activeElement)) { left = true; continue; } // nobody loses their place
        const were = part.querySelectorAll("details"), are = other.querySelectorAll("details");
        if (were.length === are.length) are.forEach((each, at) => { each.open = were[at].open; });
        part.replaceWith(other);
      }
      mine.version = fresh.body.dataset.version;
      const whose = mine.twin ? `: version ${mine.version} of this twin` : "";
      say(left ? "New data came." : `New data came and is shown${whose}.`);
    } catch {
      say("New data came, and could not be shown.");
    } finally {
      busy = false;
    }
  }

  const source = new EventSource("/events");
  const heard = (event) => {
    let told = {};
    try { told = JSON.parse(event.data); } catch { return; }
    if ((!mine.twin || told.twin === mine.twin) && !(told.version <= Number(mine.version))) renew();
  };
  source.addEventListener("twin", heard);
  source.addEventListener("warning", heard);
  source.addEventListener("gap", renew);
})();
