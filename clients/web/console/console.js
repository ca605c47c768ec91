"use strict";
const at = (id) => document.getElementById(id);
const api = location.origin + location.pathname.replace(/\/console(\/.*)?$/, "");
let shown = { token: "", uid: "" };
let nextPage = null;
let playing = null;   // stops what is being fetched
let soundUrl = null;  // the sound that the player holds

function say(text, isError = false) {
  at("message").textContent = text;
  at("message").className = isError ? "error" : "";
}

// The user of a token, as the services know them: what is no valid id is hashed (the page of the storage API). "": it names none, or no hash is to be had.
async function userOf(token) {
  let subject = "";
  try {
    const part = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    subject = JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(part), (c) => c.charCodeAt(0)))).sub;
  } catch { return ""; }  // no JWT: a service token
  if (typeof subject !== "string" || !subject) return "";
  if (/^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$/.test(subject) && !/^sha256-[0-9a-f]{32}$/.test(subject)) return subject;
  if (!crypto.subtle) return "";  // only over TLS, or on this machine
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(subject)));
  return "sha256-" + Array.from(hash.slice(0, 16), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function ask(path, options = {}) {
  const headers = { Authorization: "Bearer " + shown.token };
  const answer = await fetch(api + "/v1/users/" + encodeURIComponent(shown.uid) + path, { ...options, headers, cache: "no-store" });
  if (answer.ok) return answer;
  let text = "HTTP " + answer.status;
  try {
    const problem = await answer.json();
    text = problem.detail || problem.title || text;
  } catch { /* another server's page: the status says enough */ }
  throw new Error(text);
}

const cell = (text, kind = "") => Object.assign(document.createElement("td"), { textContent: text, className: kind });
const clock = (seconds) => {
  const s = Math.round(seconds);
  const parts = [Math.floor(s / 3600), Math.floor(s / 60) % 60, s % 60].map((n) => String(n).padStart(2, "0"));
  return (s < 3600 ? parts.slice(1) : parts).join(":");
};

function row(conversation) {
  const line = document.createElement("tr");
  const start = conversation.start ? new Date(conversation.start).toLocaleString() : "";
  line.append(
    cell(conversation.conversation_id), cell(start), cell(clock(conversation.recorded_seconds), "number"),
    cell(clock(conversation.stored_seconds), "number"), cell(conversation.chunks, "number"));
  const flag = cell("");
  if (conversation.live) flag.append(Object.assign(document.createElement("span"), { textContent: "live", className: "live" }));
  const button = Object.assign(document.createElement("button"), { textContent: "Play", type: "button" });
  button.setAttribute("aria-label", "Play " + conversation.conversation_id);
  button.addEventListener("click", () => play(conversation.conversation_id));
  const last = cell("");
  last.append(button);
  line.append(flag, last);
  return line;
}

async function list(fresh) {
  try {
    const page = fresh ? "" : "&page_token=" + encodeURIComponent(nextPage);
    const found = await (await ask("/conversations?page_size=50" + page)).json();
    if (fresh) at("list").tBodies[0].replaceChildren();
    for (const conversation of found.conversations) at("list").tBodies[0].append(row(conversation));
    nextPage = found.next_page_token;
    at("more").hidden = !nextPage;
    at("list").hidden = false;
    say(at("list").tBodies[0].rows.length ? "" : shown.uid + " has no conversations yet.");
  } catch (error) { say(error.message, true); }
}

async function play(conversation) {
  if (playing) playing.abort();
  const mine = playing = new AbortController();
  say("Getting " + conversation + " …");
  try {
    const path = "/conversations/" + encodeURIComponent(conversation) + "/audio?format=";
    const ogg = at("audio").canPlayType("audio/ogg; codecs=opus") !== "";
    const answer = await ask(path + (ogg ? "ogg" : "wav"), { signal: mine.signal });
    const sound = await answer.blob();
    if (mine !== playing) return;
    if (soundUrl) URL.revokeObjectURL(soundUrl);
    soundUrl = URL.createObjectURL(sound);
    at("audio").src = soundUrl;
    at("playing").textContent = conversation;
    at("player").hidden = false;
    const missing = Number(answer.headers.get("Tapedeck-Missing") || 0);
    say(missing ? missing + " objects could not be read; they are silent here." : "");
    await at("audio").play();
  } catch (error) {
    if (error.name !== "AbortError") say(error.message, true);
  }
}

at("who").addEventListener("submit", async (event) => {
  event.preventDefault();
  const token = at("token").value.trim();
  const uid = at("uid").value.trim() || await userOf(token);
  if (!uid) { say("This token names no user: say whose conversations to show.", true); return; }
  at("uid").value = uid;
  shown = { token, uid };
  try { sessionStorage.setItem("tapedeck", JSON.stringify(shown)); } catch { /* not kept over a reload, then */ }
  list(true);
});
at("more").addEventListener("click", () => list(false));
try {
  const kept = JSON.parse(sessionStorage.getItem("tapedeck") || "null");
  if (kept) { at("token").value = kept.token; at("uid").value = kept.uid; at("who").requestSubmit(); }
} catch { /* nothing that can be used was kept */ }
