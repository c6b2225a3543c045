// Elements, made without HTML in strings: what comes from a client or a model is only ever text.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export const element = (name, attributes = {}, ...children) => filled(document.createElement(name), attributes, children);

export const svg = (name, attributes = {}, ...children) => filled(document.createElementNS(SVG, name), attributes, children);

// Replaces what a node holds only if that has changed, so that focus and selections stay.
export function show(node, children) {
  const next = element("div", {}, ...children);
  if ([...next.childNodes].every((child, at) => node.childNodes[at]?.isEqualNode(child)) &&
      next.childNodes.length === node.childNodes.length) return;
  node.replaceChildren(...next.childNodes);
}
