// The console's API. A refusal becomes a Problem with the server's stable type.

import { currentLanguage, t } from "./words.js";

const BASE = "/console/api";

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title);
    this.status = status;
    this.kind = (body.type || "").replace("urn:tandem:", "");
    this.extra = body.extra || {};
    this.detail = body.detail || "";
  }

  /** What to show to a person. */
  get words() {
    const known = t(`problem.${this.kind}`);
    const detail = this.extra[currentLanguage()] || this.detail;
    return detail && DETAILED.has(this.kind) ? `${known} (${detail})` : known;
  }
}

const DETAILED = new Set(["unreadable-document", "invalid", "failed", "provider-down", "file-gone"]);

let onSignedOut = () => {};

/** Called when the server says that nobody is signed in any more. */
export function whenSignedOut(callback) {
  onSignedOut = callback;
}

export async function api(method, path, body) {
  let response;
  try {
    response = await fetch(BASE + path, {
      method,
      credentials: "same-origin",
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Problem(0, { type: "urn:tandem:offline", title: "offline" });
  }
  return settle(response.status, await response.text());
}

export const get = (path) => api("GET", path);
export const post = (path, body) => api("POST", path, body);

function settle(status, text) {
  let body = null;
  try {
    body = text ? JSON.parse(text) : null;
  } catch {
    body = { title: text.slice(0, 200) };
  }
  if (status >= 200 && status < 300) return body;
  const problem = new Problem(status, body || {});
  if (problem.kind === "signed-out") onSignedOut();
  throw problem;
}

/** Send a document; `progress(share)` hears how much of it has left, 0 to 1. */
export function upload(file, audience, progress) {
  const labels = audience ? `&audience=${encodeURIComponent(audience)}` : "";
  return sendFile(`/sources?name=${encodeURIComponent(file.name)}${labels}`, file, progress);
}

/** The bytes behind `path`, as a blob. */
export async function fetchFile(path) {
  let response;
  try {
    response = await fetch(BASE + path, { credentials: "same-origin" });
    if (response.ok) return await response.blob();
  } catch {
    throw new Problem(0, { type: "urn:tandem:offline", title: "offline" });
  }
  return settle(response.status, await response.text());
}

export function sendFile(path, file, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", BASE + path);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onerror = () => reject(new Problem(0, { type: "urn:tandem:offline", title: "offline" }));
    request.onload = () => {
      try {
        resolve(settle(request.status, request.responseText));
      } catch (problem) {
        reject(problem);
      }
    };
    request.send(file);
  });
}
