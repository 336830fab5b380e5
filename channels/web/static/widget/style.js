const STYLE = `
:host { --accent: #1d6a58; --on-accent: #fff; --ground: #fff; --soft: #f4f3ef; --line: #e3e1da;
  --text: #1e2422; --faint: #65706b; --own: #e3efe9; --warn: #8a4b12;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "PingFang SC", "Microsoft YaHei",
    "WenQuanYi Micro Hei", sans-serif; color-scheme: light dark; }
@media (prefers-color-scheme: dark) {
  :host { --accent: #58bb9f; --on-accent: #0c1f19; --ground: #171a19; --soft: #212524;
    --line: #343a38; --text: #e7ebe9; --faint: #9aa5a0; --own: #21463b; --warn: #e0a66a; }
}
:host([hidden]), [hidden] { display: none !important; }
*, *::before { box-sizing: border-box; }
button { font: inherit; color: inherit; cursor: pointer; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
svg { width: 22px; height: 22px; fill: none; stroke: currentColor; stroke-width: 1.8;
  stroke-linejoin: round; stroke-linecap: round; display: block; }
.launcher, .panel { position: fixed; z-index: 2147483000; }
.launcher { right: 20px; bottom: 20px; width: 56px; height: 56px; border: 0; border-radius: 50%;
  display: grid; place-items: center; background: var(--accent); color: var(--on-accent);
  box-shadow: 0 6px 22px rgb(0 0 0 / .22); transition: transform .15s; }
.launcher:hover { transform: translateY(-2px); }
.badge { position: absolute; top: -4px; right: -4px; min-width: 22px; padding: 0 6px; background: #b3261e;
  color: #fff; border-radius: 11px; font-size: 13px; line-height: 22px; }
.panel { right: 20px; bottom: 20px; width: min(400px, calc(100vw - 40px));
  height: min(640px, calc(100dvh - 40px)); display: flex; flex-direction: column; overflow: hidden;
  background: var(--ground); color: var(--text); border: 1px solid var(--line); border-radius: 16px;
  box-shadow: 0 18px 50px rgb(0 0 0 / .18); }
header { display: flex; gap: 8px; align-items: center; justify-content: space-between;
  padding: 14px 12px 12px 18px; border-bottom: 1px solid var(--line); }
h2, p { margin: 0; }
header > div { min-width: 0; }
h2 { font-size: 16px; font-weight: 650; line-height: 1.3; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; }
.status { font-size: 13px; color: var(--faint); }
.status::before { content: ""; display: inline-block; width: 8px; height: 8px; margin-right: 7px;
  border-radius: 50%; background: var(--accent); }
.status[data-state=waiting]::before { background: #d08a2c; }
.status[data-state=closed]::before { background: var(--faint); }
.close { flex: none; border: 0; background: none; padding: 8px; border-radius: 8px;
  color: var(--faint); }
.close:hover { background: var(--soft); color: var(--text); }
.log { flex: 1; overflow-y: auto; overscroll-behavior: contain; padding: 16px 16px 8px; }
.log:focus-visible { outline-offset: -2px; }
.row { display: flex; flex-direction: column; align-items: flex-start; margin-bottom: 14px; }
.bubble { max-width: 90%; padding: 9px 13px; border-radius: 4px 14px 14px 14px;
  background: var(--soft); overflow-wrap: anywhere; unicode-bidi: isolate; }
.agent .bubble { border-radius: 4px 14px 14px 4px; border-inline-start: 3px solid var(--accent); }
.customer { align-items: flex-end; }
.customer .bubble { background: var(--own); border-radius: 14px 14px 4px 14px; }
.customer .text { white-space: pre-wrap; }
.pending .bubble { opacity: .65; }
.pending time:not(.now) { visibility: hidden; animation: late 0s 1.5s forwards; }
@keyframes late { to { visibility: visible; } }
.system { align-items: center; text-align: center; }
.system .bubble { background: none; color: var(--faint); font-size: 13.5px; padding: 2px 8px; }
time { font-size: 12px; color: var(--faint); margin: 3px 4px 0; }
.system time { display: none; }
.text > * + * { margin-top: 8px; }
ul, ol { margin: 0; padding-inline-start: 22px; }
code, pre { font: 13px/1.45 ui-monospace, Menlo, Consolas, monospace; background: var(--ground);
  border-radius: 5px; padding: 1px 5px; }
pre { padding: 8px 10px; margin: 8px 0 0; white-space: pre-wrap; }
a { color: var(--accent); }
.ref { border: 0; padding: 0 5px; margin: 0 2px; border-radius: 5px; background: var(--own);
  font-size: 12px; line-height: 18px; min-width: 18px; color: var(--text); font-weight: 600; }
.source { margin-top: 8px; border-top: 1px solid var(--line); padding-top: 7px; font-size: 13.5px; }
.source + .source { margin-top: 6px; }
summary { cursor: pointer; color: var(--faint); list-style: none; display: flex; gap: 8px; }
summary::-webkit-details-marker { display: none; }
summary::after { content: "›"; margin-left: auto; transition: rotate .15s; }
[open] > summary::after { rotate: 90deg; }
summary:hover { color: var(--text); }
summary b { color: var(--text); background: var(--own); border-radius: 5px; padding: 0 6px; }
blockquote { margin: 6px 0 2px; padding: 2px 0 2px 12px; border-inline-start: 3px solid var(--accent);
  white-space: pre-wrap; }
.clip { border: 0; background: none; padding: 7px; border-radius: 50%; color: var(--faint); }
.clip:hover { color: var(--text); }
.choices { display: flex; flex-wrap: wrap; gap: 7px; margin-top: 9px; }
.system .choices { justify-content: center; }
.choice { border: 1px solid var(--line); background: var(--ground); color: var(--text);
  border-radius: 18px; padding: 5px 13px; font-size: 14px; text-align: start; }
.choice:hover { border-color: var(--accent); }
.pending .choice { margin-top: 6px; }
.dots { display: flex; align-items: center; gap: 4px; height: 28px; padding-left: 6px; }
.dots span { font-size: 12px; color: var(--faint); margin-left: 6px; }
i { width: 6px; height: 6px; border-radius: 50%; background: var(--faint); animation: beat 1.2s infinite; }
i:nth-child(2) { animation-delay: .15s; }
i:nth-child(3) { animation-delay: .3s; }
@keyframes beat { 0%, 60%, 100% { opacity: .25; } 30% { opacity: 1; } }
footer { padding: 10px 12px 8px; border-top: 1px solid var(--line); }
.note { font-size: 13px; color: var(--warn); margin: 0 4px 8px; }
form { display: flex; flex-wrap: wrap; gap: 4px; align-items: flex-end; border: 1px solid var(--line);
  border-radius: 22px; padding: 4px; background: var(--ground); }
form:focus-within { border-color: var(--accent); box-shadow: 0 0 0 1px var(--accent); }
textarea { flex: 1; min-width: 0; border: 0; outline: 0; resize: none; padding: 6px 0; background: none;
  font: inherit; color: inherit; max-height: 132px; }
textarea:focus-visible { outline: 0; }
textarea::placeholder { color: var(--faint); opacity: 1; }
.send { flex: none; width: 36px; height: 36px; border: 0; border-radius: 50%; display: grid; place-items: center;
  background: var(--accent); color: var(--on-accent); }
.send svg { width: 18px; height: 18px; }
.send:disabled { background: var(--soft); color: var(--faint); cursor: default; }
.quiet { border: 0; background: none; color: var(--faint); font-size: 13px; padding: 6px 8px 2px;
  display: block; margin: 0 auto; text-decoration: underline; text-underline-offset: 3px; }
.quiet:hover { color: var(--text); }
@media (min-width: 1800px) { .panel { width: 440px; height: min(760px, calc(100dvh - 40px)); } }
@media (max-width: 480px) {
  .panel { inset: 0; width: 100%; height: 100dvh; border: 0; border-radius: 0; }
  textarea { font-size: 16px; }
}
@media (prefers-reduced-motion: reduce) { i { animation: none; } *, *::after { transition: none !important; } }
`;
