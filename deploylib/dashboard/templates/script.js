"use strict";
(() => {
  const units = [["day", 86400], ["hour", 3600], ["minute", 60]];
  const words = new Intl.RelativeTimeFormat("en");
  const told = (seconds) => {
    const [unit, length] = units.find(([, size]) => seconds >= size) || ["second", 1];
    return words.format(-Math.floor(seconds / length), unit);
  };
  const page = document.documentElement;
  const refresh = () => {
    const since = (text) => (Date.now() - Date.parse(text)) / 1000;
    for (const time of document.querySelectorAll("time")) {
      time.title = time.title || time.textContent;
      time.textContent = told(Math.max(0, since(time.dateTime)));
    }
    const age = since(page.dataset.built);
    const old = age > 2 * Number(page.dataset.every);
    const notice = old ? `This page is old: it was made ${told(age)}. What it says may be so no more.` : "";
    const place = document.getElementById("old");
    page.classList.toggle("old", old);
    if (place.textContent !== notice) place.textContent = notice;
  };
  refresh();
  setInterval(refresh, 30000);
})();
