// What scrolls sideways can be reached with the keyboard; what doesn't is no stop on the way.
const names = { PRE: "Code", DIV: "Table" };

function makeReachable(element) {
  if (element.scrollWidth <= element.clientWidth) {
    ["tabindex", "role", "aria-label"].forEach((name) => element.removeAttribute(name));
    return;
  }
  element.tabIndex = 0;
  element.setAttribute("role", "group");
  element.setAttribute("aria-label", names[element.tagName]);
}

const scrollers = document.querySelectorAll("pre, .table");
const makeAllReachable = () => scrollers.forEach(makeReachable);
makeAllReachable();
window.addEventListener("resize", makeAllReachable);

// The table of contents is open where there is room beside the text.
const contents = document.querySelector(".contents details");
if (contents && !window.matchMedia("(min-width: 62rem)").matches) {
  contents.open = false;
}
