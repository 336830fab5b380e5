// The demo page: one language of two, and questions that ask themselves.
const wanted = new URLSearchParams(location.search).get("lang") || navigator.language;
const language = /^zh/i.test(wanted) ? "zh" : "en";
document.documentElement.lang = language;

addEventListener("DOMContentLoaded", () => {
  for (const main of document.querySelectorAll("main")) {
    main.hidden = main.dataset.language !== language;
  }
  for (const link of document.querySelectorAll("nav a")) {
    if (link.lang === language) link.setAttribute("aria-current", "page");
  }
  for (const button of document.querySelectorAll(".ask button")) {
    button.addEventListener("click", () =>
      document.querySelector("tandem-chat").ask(button.textContent),
    );
  }
});
