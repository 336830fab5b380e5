// Text from outside becomes nodes, never markup of the page: no innerHTML anywhere in the widget.

function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node && typeof value !== "string") node[name] = value;
    else node.setAttribute(name === "className" ? "class" : name, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

function icon(path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

function safeLink(address) {
  try {
    const url = new URL(address);
    return url.protocol === "https:" && !url.username ? url.href : null;
  } catch {
    return null;
  }
}

function link(label, address) {
  const href = safeLink(address);
  if (!href) return document.createTextNode(label);
  return el("a", { href, target: "_blank", rel: "noopener noreferrer nofollow" }, label);
}

const INLINE =
  /\*\*([^*\n]{1,500})\*\*|`([^`\n]{1,500})`|\[([^[\]\n]{1,200})\]\((https:\/\/[^\s()]{1,500})\)|(https:\/\/[^\s<>"'()（）【】「」，。；]{1,500})|\[(\d{1,2})\]/g;

// `reference(n)` gives the node for a [n] that stands for a source, or null.
function inline(text, reference) {
  const nodes = [];
  let end = 0;
  for (const found of text.matchAll(INLINE)) {
    const [whole, bold, code, label, target, bare, n] = found;
    const node = bold
      ? el("strong", {}, bold)
      : code
        ? el("code", {}, code)
        : label
          ? link(label, target)
          : bare
            ? link(bare, bare)
            : reference(+n);
    if (!node) continue;
    nodes.push(text.slice(end, found.index), node);
    end = found.index + whole.length;
  }
  nodes.push(text.slice(end));
  return nodes;
}

// Paragraphs, lists, headings as bold lines, fenced code. All else stays as it was typed.
function markup(text, reference) {
  const out = document.createDocumentFragment();
  let block = null;
  let fence = null;
  for (const line of text.split("\n")) {
    if (/^\s*```/.test(line)) {
      fence = fence ? null : out.appendChild(el("pre"));
      block = null;
    } else if (fence) {
      fence.append(line + "\n");
    } else {
      block = addLine(out, block, line, reference);
    }
  }
  return out;
}

function addLine(out, block, line, reference) {
  const [, bullet, number, item] = /^\s*(?:([-*•])|(\d{1,3})[.)、])\s+(.*)$/.exec(line) || [];
  const heading = /^#{1,6}\s+(.*)$/.exec(line);
  if (bullet || number) {
    const tag = bullet ? "UL" : "OL";
    if (block?.tagName !== tag) {
      block = out.appendChild(el(tag));
      if (number) block.start = +number;
    }
    block.append(el("li", {}, ...inline(item, reference)));
    return block;
  }
  if (heading) {
    out.append(el("p", {}, el("strong", {}, ...inline(heading[1], reference))));
    return null;
  }
  if (!line.trim()) return null;
  if (block?.tagName === "P") block.append(el("br"));
  else block = out.appendChild(el("p"));
  block.append(...inline(line, reference));
  return block;
}
