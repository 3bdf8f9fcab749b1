"use strict";

// The page is whole without this: it only searches, and opens what an address names.
const box = document.querySelector("#search");
const operations = [...document.querySelectorAll("details")];
const groups = [...document.querySelectorAll("section.group")];
const texts = new Map(operations.map((operation) => [operation, operation.textContent.toLowerCase()]));

function search() {
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const operation of operations) {
    operation.hidden = !words.every((word) => texts.get(operation).includes(word));
  }
  for (const group of groups) {
    group.hidden = !group.querySelector("details:not([hidden])");
  }
  for (const other of document.querySelectorAll("#begin, #shapes")) {
    other.hidden = words.length > 0;
  }
  document.querySelector("#none").hidden = groups.some((group) => !group.hidden);
}

function open() {
  const named = document.getElementById(location.hash.slice(1));
  if (!named) return;
  if (box.value) {
    box.value = "";
    search();
  }
  if (named instanceof HTMLDetailsElement) named.open = true;
  named.scrollIntoView();
}

// the examples call the appliance that shows them
for (const example of document.querySelectorAll("pre")) {
  example.textContent = example.textContent.replaceAll("https://vpn.example:8098", location.origin);
}

box.hidden = false;
box.addEventListener("input", search);
addEventListener("hashchange", open);
addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== box && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    box.focus();
  } else if (event.key === "Escape" && document.activeElement === box) {
    box.value = "";
    search();
  }
});
open();
