// What the portal does beyond plain pages, forms and htmx. Everything here is
// an improvement of something that works without it. There is no inline
// script: elements say by data attributes what is to be done with them.
(() => {
  "use strict";
  const $ = (sel, of = document) => of.querySelector(sel);
  const $$ = (sel, of = document) => [...of.querySelectorAll(sel)];
  const on = (type, sel, f) => document.addEventListener(type, (e) => {
    const el = e.target.closest?.(sel);
    if (el) f(e, el);
  });
  document.documentElement.dataset.scripts = "yes";
  const say = (text) => { const live = $("#announce"); if (live) live.textContent = text; };

  // --- times: in the reader's zone, the exact one on hover ---------------------
  const steps = [[60, "second"], [3600, "minute", 60], [86400, "hour", 3600], [86400 * 30, "day", 86400], [86400 * 365, "month", 86400 * 30], [Infinity, "year", 86400 * 365]];
  const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
  const exact = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" });
  const short = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  function times(of = document) {
    for (const el of $$("time[datetime]", of)) {
      const at = new Date(el.dateTime);
      if (isNaN(at)) continue;
      if (!el.title.includes("GMT")) el.title = exact.format(at);
      if (el.dataset.as === "clock") { el.textContent = short.format(at); continue; }
      if (el.dataset.as === "exact") { el.textContent = exact.format(at); continue; }
      const s = (at - Date.now()) / 1000;
      if (Math.abs(s) < 5) { el.textContent = "now"; continue; }
      const [, unit, per = 1] = steps.find(([limit]) => Math.abs(s) < limit);
      const text = relative.format(Math.round(s / per), unit);
      if (el.textContent !== text) el.textContent = text;
    }
  }
  setInterval(times, 15000);

  // --- copying ------------------------------------------------------------------
  on("click", "[data-copy]", async (e, el) => {
    e.preventDefault();
    const from = el.dataset.copyFrom ? $(el.dataset.copyFrom) : null;
    const text = from ? (from.value ?? from.textContent) : el.dataset.copy;
    try { await navigator.clipboard.writeText(text); } catch {
      const area = document.createElement("textarea");
      area.value = text; area.className = "sr-only"; document.body.append(area); area.select();
      document.execCommand("copy"); area.remove();
    }
    el.classList.add("copied"); say("Copied");
    const use = $("use", el), was = use?.getAttribute("href");
    if (was && !was.endsWith("#check")) {
      use.setAttribute("href", was.replace(/#.*/, "#check"));
      setTimeout(() => { use.setAttribute("href", was); el.classList.remove("copied"); }, 1500);
    }
  });

  // --- themes: at once, and kept by the form's own POST --------------------------
  on("submit", "form[data-theme-form]", (e, form) => {
    e.preventDefault();
    const theme = e.submitter?.value || "system";
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    $$("form[data-theme-form] button").forEach((b) => b.setAttribute("aria-pressed", String(b.value === theme)));
    fetch(form.action, { method: "POST", body: new URLSearchParams({ theme }), redirect: "manual" });
  });

  // --- going anywhere: the palette ------------------------------------------------
  const palette = () => $("#palette");
  let chosen = -1;
  function openPalette(kind) {
    const dialog = palette();
    if (!dialog) return;
    const form = $("form", dialog), input = $("input[name=q]", dialog);
    form.elements.kind.value = kind || "";
    input.placeholder = kind === "environment" ? "Go to an environment…" : "Go anywhere, start anything…";
    if (!dialog.open) { input.value = ""; dialog.showModal(); }
    input.focus(); choose(-1);
    window.htmx?.trigger(form, "palette");
  }
  const hits = () => $$("#palette .hits a");
  function choose(i) {
    const all = hits();
    chosen = all.length ? (i + all.length) % all.length : -1;
    if (i < 0 && !all.length) chosen = -1;
    all.forEach((a, n) => (n === chosen ? a.setAttribute("aria-current", "true") : a.removeAttribute("aria-current")));
    if (chosen >= 0) { all[chosen].scrollIntoView({ block: "nearest" }); say(all[chosen].innerText); }
  }
  on("click", "[data-palette]", (e, el) => { if (!palette() || e.ctrlKey || e.metaKey) return; e.preventDefault(); openPalette(el.dataset.palette); });
  on("click", "#palette", (e, el) => { if (e.target === el) el.close(); });
  on("keydown", "#palette input", (e) => {
    if (e.key === "ArrowDown") { e.preventDefault(); choose(chosen + 1); }
    else if (e.key === "ArrowUp") { e.preventDefault(); choose(chosen - 1); }
    else if (e.key === "Enter") { e.preventDefault(); const a = hits()[Math.max(chosen, 0)]; if (a) location.href = a.href; }
  });

  // --- keys -------------------------------------------------------------------------
  const typing = (el) => el.closest?.("input, textarea, select, [contenteditable], dialog[open]");
  let pending = "";
  document.addEventListener("keydown", (e) => {
    if ((e.ctrlKey || e.metaKey) && e.key.toLowerCase() === "k") { e.preventDefault(); openPalette(""); return; }
    if (e.ctrlKey || e.metaKey || e.altKey || typing(e.target)) return;
    const combo = pending + e.key.toLowerCase();
    const go = $(`[data-key="${CSS.escape(combo)}"]`) || $(`[data-key="${CSS.escape(e.key.toLowerCase())}"]`);
    pending = e.key === "g" && !pending ? "g " : "";
    if (e.key === "/") { const search = $("#page input[type=search]"); if (search) { e.preventDefault(); search.focus(); return; } e.preventDefault(); openPalette(""); return; }
    if (go) { e.preventDefault(); go.matches("input, textarea, select") ? go.focus() : go.click(); }
  });

  // --- typed confirmation: the button waits for the name ------------------------------
  function confirmations(of = document) {
    for (const input of $$("input[data-confirm]", of)) {
      const button = $("button[type=submit]", input.form);
      if (button) button.disabled = input.value !== input.dataset.confirm;
    }
  }
  on("input", "input[data-confirm]", (e, el) => confirmations(el.form));

  // --- secrets hide themselves ------------------------------------------------------------
  const hiding = new WeakSet();
  function secrets(of = document) {
    for (const el of $$("[data-hide-after]", of)) {
      if (hiding.has(el)) continue;
      hiding.add(el);
      let left = Number(el.dataset.hideAfter);
      const count = $("[data-countdown]", el);
      const tick = setInterval(() => {
        left--;
        if (count) count.textContent = String(left);
        if (left > 0) return;
        clearInterval(tick);
        $$("[data-secret]", el).forEach((s) => { s.textContent = "••••••••••••"; s.classList.add("secret"); });
        $$("[data-copy]", el).forEach((b) => b.remove());
        $$("[data-when-shown]", el).forEach((b) => (b.hidden = true));
        $$("[data-when-hidden]", el).forEach((b) => (b.hidden = false));
        say("The credentials are hidden again");
      }, 1000);
    }
  }

  // --- forms: rows of lists, drafts that survive a closed tab --------------------------------
  on("click", "[data-add-row]", (e, el) => {
    e.preventDefault();
    const list = $(el.dataset.addRow), template = $("template", list.parentElement);
    const n = Number(list.dataset.next || list.children.length);
    list.dataset.next = n + 1;
    const holder = document.createElement("template");
    holder.innerHTML = template.innerHTML.replaceAll("__N__", String(n));
    const row = holder.content.firstElementChild;
    list.append(row);
    window.htmx?.process(row);
    $("input, select, textarea", row)?.focus();
    changed(el.closest("form"));
  });
  on("click", "[data-remove-row]", (e, el) => { e.preventDefault(); const form = el.closest("form"); el.closest(".item-row, fieldset")?.remove(); changed(form); });
  const changed = (form) => form?.dispatchEvent(new Event("input", { bubbles: true }));

  // What a form asks for may depend on what was chosen in it: the server says.
  const reshape = (form) => form && window.htmx?.trigger(form, "reshape");
  on("change", "[data-reshape]", (e, el) => reshape(el.closest("form")));
  on("input", "[data-field-find]", (e, el) => {
    const q = el.value.trim().toLowerCase();
    for (const section of $$(".section", el.closest("form"))) {
      let n = 0;
      for (const field of $$(":scope > .fields > [data-field]", section)) {
        const hit = !q || field.textContent.toLowerCase().includes(q) || field.dataset.field.toLowerCase().includes(q);
        field.classList.toggle("passed", !hit);
        if (hit) n++;
      }
      section.classList.toggle("passed", n === 0);
      if (q && n) section.open = true;
    }
  });

  // A line of a file that something is said about.
  on("click", "a[data-line]", (e, el) => {
    const area = $("textarea", document.getElementById(el.hash.slice(1)) || document.createElement("p"));
    if (!area) return;
    e.preventDefault();
    const lines = area.value.split("\n"), n = Math.min(Number(el.dataset.line), lines.length);
    const from = lines.slice(0, n - 1).reduce((sum, l) => sum + l.length + 1, 0);
    area.closest("section").scrollIntoView({ block: "nearest" });
    area.focus();
    area.setSelectionRange(from, from + (lines[n - 1] || "").length);
    area.scrollTop = (area.scrollHeight / lines.length) * Math.max(0, n - 4);
  });
  on("keydown", "textarea.file", (e, el) => { // a tab is a tab; Escape, then Tab leaves
    if (e.key === "Escape") { el.dataset.leave = "yes"; return; }
    if (e.key !== "Tab" || e.shiftKey || e.ctrlKey || e.altKey || el.dataset.leave) { if (e.key !== "Tab") delete el.dataset.leave; return; }
    e.preventDefault();
    el.setRangeText("\t", el.selectionStart, el.selectionEnd, "end");
    changed(el.form);
  });

  // An output of something else, picked from a list.
  on("click", "[data-pick]", (e, el) => {
    const box = $("#pick"), search = $("input[type=search]", box);
    box.dataset.for = el.dataset.pick;
    $("input[name=kind]", box).value = el.dataset.kind || "";
    $("input[name=secret]", box).value = el.dataset.secret || "";
    search.value = "";
    window.htmx?.trigger(search, "pick");
    setTimeout(() => search.focus(), 50);
  });
  on("click", "[data-reference]", (e, el) => {
    const box = $("#pick"), name = box.dataset.for, form = $("form[data-draft]");
    const fields = [...form.elements].filter((f) => f.name === name);
    const at = fields[0]?.closest("[data-field]") || $(`[data-field="${CSS.escape(name)}"]`, form);
    fields.forEach((f) => (f.disabled = true));
    const sign = document.createElement("input");
    sign.type = "hidden"; sign.name = name; sign.value = el.dataset.reference;
    at.append(sign);
    box.hidePopover();
    changed(form); reshape(form);
    say(`${el.innerText} is used`);
  });
  on("click", "[data-unpick]", (e, el) => { const input = $("input", el.parentElement); input.value = ""; changed(input.form); reshape(input.form); });

  const draftKey = (form) => "fairlead draft " + form.dataset.draft;
  function saveDraft(form) {
    const kept = [];
    for (const el of form.elements) {
      if (!el.name || el.type === "password" || el.dataset.noDraft !== undefined || (el.type === "hidden" && el.dataset.draftKeep === undefined) || ["submit", "button"].includes(el.type)) continue;
      if ((el.type === "checkbox" || el.type === "radio") && !el.checked) continue;
      kept.push([el.name, el.value]);
    }
    try { localStorage.setItem(draftKey(form), JSON.stringify({ at: Date.now(), kept })); } catch { /* full or forbidden: no draft */ }
  }
  on("input", "form[data-draft]", (e, form) => saveDraft(form));
  function drafts() {
    // What was sent and led to another page is done: its draft is gone.
    const sent = sessionStorage.getItem("fairlead sent");
    if (sent && !$("form[data-draft]") && !$("form[action='/sign-in']")) try { sessionStorage.removeItem("fairlead sent"); localStorage.removeItem("fairlead draft " + sent); } catch { /* none */ }
    for (const form of $$("form[data-draft]:not([data-restored])")) {
      form.dataset.restored = "yes";
      if (form.dataset.fresh === undefined) continue; // the server shows what was sent
      let draft;
      try { draft = JSON.parse(localStorage.getItem(draftKey(form))); } catch { /* none */ }
      if (!draft || Date.now() - draft.at > 14 * 86400e3 || !draft.kept.some(([, v]) => v)) continue;
      const by = new Map();
      draft.kept.forEach(([k, v]) => by.set(k, [...(by.get(k) || []), v]));
      for (const el of form.elements) {
        if (!el.name || el.type === "password" || (el.type === "hidden" && el.dataset.draftKeep === undefined)) continue;
        const values = by.get(el.name);
        if (el.type === "checkbox" || el.type === "radio") el.checked = !!values?.includes(el.value);
        else if (values) el.value = values.shift() ?? el.value;
      }
      // Fields that the form does not ask for until something is chosen.
      const holder = $("#schema", form) || form, known = new Set([...form.elements].map((el) => el.name));
      let more = false;
      for (const [name, values] of by) {
        if (known.has(name) || !/^(in|file)\//.test(name)) continue;
        for (const value of values) { const kept = document.createElement("input"); kept.type = "hidden"; kept.name = name; kept.value = value; holder.append(kept); more = true; }
      }
      if (more) setTimeout(() => reshape(form));
      const note = $("[data-draft-note]", form);
      if (note) note.hidden = false;
      changed(form);
    }
  }
  on("click", "[data-drop-draft]", (e, el) => { e.preventDefault(); try { localStorage.removeItem(draftKey(el.closest("form"))); } catch { /* none */ } location.reload(); });

  // --- a session that ended in mid-form: sign in again, nothing is lost ------------------------
  document.addEventListener("fl:session-over", () => { const d = $("#session-over"); if (d && !d.open) d.showModal(); });
  on("click", "#session-over [data-again]", async () => {
    const ok = await fetch("/session", { headers: { "HX-Request": "true" } }).then((r) => r.ok, () => false);
    if (!ok) { $("#session-over [data-still]").hidden = false; return; }
    $("#session-over").close();
    connect();
  });
  on("submit", "form[data-draft]", async (e, form) => {
    if (form.dataset.checked) { delete form.dataset.checked; sessionStorage.setItem("fairlead sent", form.dataset.draft); return; }
    e.preventDefault();
    e.stopImmediatePropagation();
    const button = e.submitter;
    if (form.dataset.asking) return;
    form.dataset.asking = "yes";
    const status = await fetch("/session", { headers: { "HX-Request": "true" } }).then((r) => r.status, () => 0);
    delete form.dataset.asking;
    if (status === 401) { saveDraft(form); document.dispatchEvent(new Event("fl:session-over")); return; }
    form.dataset.checked = "yes";
    form.requestSubmit(button);
  });

  // --- what the server says of fields: shown where somebody was already -------------------------
  on("focusout", "form[data-draft] [name]", (e, el) => { el.dataset.touched = "yes"; showErrors(el.form); });
  // coded shows a text in which what stands between backticks is code, as the server does.
  function coded(el, text) {
    el.replaceChildren(...text.split(/`([^`\r\n]+)`/).map((part, i) => i % 2 ? Object.assign(document.createElement("code"), { textContent: part }) : part));
  }
  function showErrors(form) {
    const holder = $("[data-errors]", form);
    if (!holder) return;
    let wrong;
    try { wrong = JSON.parse(holder.dataset.errors); } catch { return; }
    for (const note of $$(".wrong[id$='-error']", form)) {
      const id = note.id.slice(0, -6), el = document.getElementById(id);
      const text = wrong[id];
      if (text && el && !el.dataset.touched && el.getAttribute("aria-invalid") !== "true") continue;
      note.hidden = !text;
      coded(note, text || "");
      if (!el) continue;
      if (text) { el.setAttribute("aria-invalid", "true"); el.setAttribute("aria-describedby", `${id}-help ${id}-error`); }
      else el.removeAttribute("aria-invalid");
    }
  }

  // --- fields that count only when another has a value ---------------------------------------------
  function conditions(form) {
    for (const el of $$("[data-when]", form)) {
      const when = el.dataset.when, not = when.startsWith("!"), [name, values] = when.slice(not ? 1 : 0).split(/=(.*)/s);
      const fields = [...form.elements].filter((f) => f.name === name);
      const box = fields.find((f) => f.type === "checkbox"), checked = fields.find((f) => f.checked);
      const have = box ? String(box.checked) : checked ? checked.value : fields[0]?.type === "radio" ? "" : fields[0]?.value ?? "";
      el.hidden = values.split("|").includes(have) === not;
    }
  }
  on("input", "form[data-draft]", (e, form) => conditions(form));

  // --- one click is one request --------------------------------------------------------
  on("submit", "form[method=post]:not([data-theme-form]):not([hx-post])", (e, form) => {
    if (form.dataset.sent) { e.preventDefault(); return; }
    form.dataset.sent = "yes";
    setTimeout(() => { const b = e.submitter; if (b) b.disabled = true; });
    setTimeout(() => { delete form.dataset.sent; if (e.submitter) e.submitter.disabled = false; confirmations(form); }, 8000);
  });
  addEventListener("pageshow", (e) => { if (e.persisted) $$("form[data-sent]").forEach((f) => { delete f.dataset.sent; $$("button", f).forEach((b) => (b.disabled = false)); }); });

  // --- live: one connection a tab ----------------------------------------------------------------
  let source, lastId = "", refreshing = false, again = false, failures = 0, timer;
  const staleNote = (show) => { const el = $("#stale"); if (el) el.hidden = !show; };
  function connect() {
    clearTimeout(timer);
    source?.close(); source = undefined;
    const page = $("#page[data-live]"), bell = $("#bell");
    if (!page && !bell || document.hidden) return;
    const url = new URL("/live", location.origin);
    url.searchParams.set("page", location.pathname + location.search);
    if (page) url.searchParams.set("seen", lastId || page.dataset.live);
    if (bell) url.searchParams.set("bell", bell.dataset.unread);
    source = new EventSource(url);
    source.addEventListener("open", () => { failures = 0; staleNote(false); });
    source.addEventListener("changed", (e) => { lastId = e.lastEventId; refresh(); });
    source.addEventListener("bell", (e) => ring(JSON.parse(e.data).unread));
    source.addEventListener("gone", () => { source.close(); staleNote(true); });
    source.addEventListener("signin", () => { source.close(); document.dispatchEvent(new Event("fl:session-over")); });
    source.addEventListener("error", () => {
      source?.close();
      if (++failures > 1) staleNote(true);
      clearTimeout(timer);
      timer = setTimeout(connect, Math.min(30000, 700 * 2 ** failures) * (0.7 + Math.random() * 0.6));
    });
  }
  function ring(n) {
    const bell = $("#bell");
    if (!bell) return;
    const more = n > Number(bell.dataset.unread), count = n > 99 ? "99+" : String(n);
    bell.dataset.unread = n;
    $(".count", bell).hidden = n === 0;
    $(".count", bell).textContent = count;
    $("[data-bell-words]", bell).textContent = n === 0 ? "Notifications: nothing new" : `Notifications: ${count} new`;
    if (more) say(`${count} new notifications`);
  }
  document.addEventListener("visibilitychange", () => { if (document.hidden) { source?.close(); source = undefined; } else connect(); });
  addEventListener("pagehide", () => source?.close());
  async function refresh() {
    if (refreshing) { again = true; return; }
    refreshing = true;
    try {
      document.dispatchEvent(new Event("fl:changed"));
      await window.htmx?.ajax("GET", location.pathname + location.search, { target: "#page", select: "#page", swap: "outerMorph", source: "#page" });
    } finally {
      refreshing = false;
      if (again) { again = false; refresh(); }
    }
  }

  // --- a run's log: a window on it, that is moved ---------------------------------------------------
  const keptLines = 2000;
  const logState = new WeakMap(), logOf = (el) => $(".log", el.closest("[data-logbox]"));
  function logs(of = document) { for (const log of $$(".log[data-src]", of)) if (!logState.has(log)) logState.set(log, logWindow(log)); }
  function logWindow(log) {
    const list = $("ol", log), box = log.closest("[data-logbox]");
    const seq = (li) => Number(li?.dataset.seq || 0), lines = () => $$("li[data-seq]", list);
    let follow = log.dataset.following === "true", query = $("[data-log-search]", box)?.value || "", cut = !follow, busy = false, again = false, turn = 0;
    const ask = async (params) => {
      const mine = turn, url = new URL(log.dataset.src, location.origin);
      for (const [k, v] of Object.entries(params)) url.searchParams.set(k, v);
      const answer = await fetch(url, { headers: { "HX-Request": "true" } });
      return answer.ok && mine === turn ? await answer.text() : "";
    };
    const none = (text) => { let p = $(".none", log); if (!text) { p?.remove(); return; } if (!p) { p = document.createElement("p"); p.className = "none"; log.append(p); } p.textContent = text; };
    const setFollow = (yes) => { follow = yes; $("[data-log-follow]", box)?.setAttribute("aria-pressed", String(yes)); if (yes) { if (cut || query) go("last"); else log.scrollTop = log.scrollHeight; } };
    const add = (html, before) => {
      if (!html.trim()) return 0;
      const n = list.childElementCount, height = log.scrollHeight, top = log.scrollTop;
      list.insertAdjacentHTML(before ? "afterbegin" : "beforeend", html);
      times(list); none("");
      const came = list.childElementCount - n;
      if (before) { log.scrollTop = top + log.scrollHeight - height; while (list.childElementCount > keptLines) { list.lastElementChild.remove(); cut = true; } }
      else { // what is looked at stays where it is, or who is at the end could not scroll on
        const over = list.childElementCount - keptLines, tall = log.scrollHeight;
        for (let i = 0; i < over; i++) list.firstElementChild.remove();
        if (over > 0) log.scrollTop = top - (tall - log.scrollHeight);
      }
      return came;
    };
    const once = async (f) => { if (busy) { again = true; return; } busy = true; try { await f(); } finally { busy = false; if (again) { again = false; pull(); } } };
    const pull = () => once(async () => { // what came at the end
      if (query || cut) return;
      for (let n = 0; n < 20; n++) {
        const html = await ask({ after: seq(list.lastElementChild) });
        if (!html.trim()) break;
        add(html);
        if (follow) log.scrollTop = log.scrollHeight;
      }
    });
    const later = () => once(async () => { if (!query && cut && !add(await ask({ after: seq(list.lastElementChild) }))) cut = false; });
    const earlier = () => once(async () => { if (!query && seq(list.firstElementChild) > 1) add(await ask({ before: seq(list.firstElementChild) }), true); });
    const go = async (where) => {
      turn++; query = ""; const input = $("[data-log-search]", box); if (input) input.value = "";
      const html = await ask(where === "first" ? { after: 0 } : {});
      list.innerHTML = html; times(list); none(html.trim() ? "" : "Nothing has been written yet.");
      cut = where === "first"; follow = where !== "first";
      $("[data-log-follow]", box)?.setAttribute("aria-pressed", String(follow));
      log.scrollTop = where === "first" ? 0 : log.scrollHeight;
    };
    const seek = async (after) => { // some of it at a time, until there is enough to look at
      const mine = turn;
      for (let found = 0, at = after; ;) {
        const html = await ask({ q: query, after: at });
        if (mine !== turn) return;
        $(".more", list)?.remove();
        add(html);
        const more = $(".more", list);
        found = lines().length;
        say(`${found} lines match`);
        if (!more) { if (!found) none("Nothing in the log is like that."); return; }
        if (found >= 200 || !log.isConnected) return;
        at = Number(more.dataset.more);
      }
    };
    const search = (text) => { query = text; turn++; if (!query) { go("last"); return; } follow = false; $("[data-log-follow]", box)?.setAttribute("aria-pressed", "false"); list.innerHTML = ""; none("Searching…"); seek(0); };
    document.addEventListener("fl:changed", () => { if (log.isConnected) pull(); });
    log.addEventListener("scroll", () => {
      if (log.scrollHeight - log.scrollTop - log.clientHeight > 30) { if (follow && !busy) { follow = false; $("[data-log-follow]", box)?.setAttribute("aria-pressed", "false"); } } else if (cut) later();
      if (log.scrollTop < 200) earlier();
    }, { passive: true });
    if (follow) { log.scrollTop = log.scrollHeight; pull(); }
    return { setFollow, go, search, seek, following: () => follow };
  }
  let searching;
  on("input", "[data-log-search]", (e, el) => { clearTimeout(searching); searching = setTimeout(() => logState.get(logOf(el))?.search(el.value.trim()), 250); });
  on("submit", "[data-log-form]", (e, el) => e.preventDefault());
  on("click", "[data-log-go]", (e, el) => { const log = logState.get(logOf(el)); if (log) { e.preventDefault(); log.go(el.dataset.logGo); } });
  on("click", "[data-log-more]", (e, el) => { const log = logState.get(logOf(el)); if (log) { e.preventDefault(); log.seek(Number(el.closest("li").dataset.more)); } });
  on("click", "[data-log-wrap]", (e, el) => el.setAttribute("aria-pressed", String(logOf(el).classList.toggle("wrap"))));
  on("click", "[data-log-follow]", (e, el) => { const log = logState.get(logOf(el)); log?.setFollow(!log.following()); });

  // --- graphs: zoom, pan, find, and what belongs to what -----------------------------------------------
  const graphs = new Map(); // id -> how somebody has it: kept while the page renews itself
  const boxOf = (graph) => $(".graphbox", graph);
  function zoomTo(graph, z, at) {
    const box = boxOf(graph), svg = $("svg", box), state = graphs.get(graph.dataset.graph);
    const was = state.z, rect = box.getBoundingClientRect();
    const x = at ? at.clientX - rect.left : box.clientWidth / 2, y = at ? at.clientY - rect.top : box.clientHeight / 2;
    state.z = Math.min(2, Math.max(0.25, z));
    svg.setAttribute("width", Math.round(svg.dataset.w * state.z));
    svg.setAttribute("height", Math.round(svg.dataset.h * state.z));
    if (was !== state.z) { box.scrollLeft = (box.scrollLeft + x) * state.z / was - x; box.scrollTop = (box.scrollTop + y) * state.z / was - y; }
    box.classList.toggle("pans", box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight);
  }
  const fitting = (graph) => { const box = boxOf(graph), svg = $("svg", box); return Math.min(1, Math.max(0.72, (box.clientWidth - 2) / svg.dataset.w)); };
  function zoomBy(graph, what, at) {
    const state = graphs.get(graph.dataset.graph);
    state.own = what !== "0";
    zoomTo(graph, what === "0" ? fitting(graph) : what === "+" ? state.z * 1.2 : what === "-" ? state.z / 1.2 : state.z * what, at);
  }
  function dressGraphs(of = document) {
    for (const graph of $$("[data-graph]", of)) {
      const id = graph.dataset.graph;
      if (!graphs.has(id)) graphs.set(id, { z: 1, own: false });
      const state = graphs.get(id);
      $$(".zoom", graph).forEach((b) => (b.hidden = false));
      const drawing = $("svg", boxOf(graph));
      if (state.watched !== drawing) { // renewing the page gives it its own size again: put right before anybody sees it
        state.watched = drawing;
        new MutationObserver(() => { if (Number(drawing.getAttribute("width")) !== Math.round(drawing.dataset.w * state.z)) zoomTo(graph, state.z); }).observe(drawing, { attributes: true, attributeFilter: ["width", "data-w"] });
      }
      zoomTo(graph, state.own ? state.z : fitting(graph));
      if (!state.own && !state.seen) {
        const box = boxOf(graph), current = $(".gnode.current", box);
        state.seen = true;
        if (current && box.scrollWidth > box.clientWidth) box.scrollLeft = current.getBoundingClientRect().left - box.getBoundingClientRect().left - box.clientWidth / 3;
      }
      find(graph);
    }
  }
  function light(graph, node) {
    graph.classList.toggle("dim", !!node);
    $$(".lit", graph).forEach((el) => el.classList.remove("lit"));
    if (!node) return;
    const id = node.dataset.id, near = new Set([id]);
    for (const e of $$(".gedges path", graph)) {
      if (e.dataset.from !== id && e.dataset.to !== id) continue;
      e.classList.add("lit"); near.add(e.dataset.from); near.add(e.dataset.to);
    }
    $$(".gnode", graph).forEach((n) => n.classList.toggle("lit", near.has(n.dataset.id)));
  }
  const foundIn = (graph) => $$(".gnode.found", graph);
  function find(graph) {
    const input = $("[data-graph-search]", graph), q = (input?.value || "").trim().toLowerCase();
    $$(".gnode", graph).forEach((n) => n.classList.toggle("found", !!q && n.dataset.find.includes(q)));
    return foundIn(graph);
  }
  on("input", "[data-graph-search]", (e, el) => {
    const hits = find(el.closest("[data-graph]"));
    hits[0]?.scrollIntoView({ block: "nearest", inline: "center" });
    say(el.value.trim() ? `${hits.length} found` : "");
  });
  on("submit", ".graph form[role=search]", (e, form) => {
    const hits = foundIn(form.closest("[data-graph]"));
    if (hits.length) { e.preventDefault(); hits[0].focus(); hits[0].scrollIntoView({ block: "nearest", inline: "center" }); }
    else if (!$("[data-graph-search]", form).name) e.preventDefault();
  });
  on("click", "[data-zoom]", (e, el) => zoomBy(el.closest("[data-graph]"), el.dataset.zoom));
  document.addEventListener("wheel", (e) => {
    const graph = (e.ctrlKey || e.metaKey) && e.target.closest?.(".graphbox")?.closest("[data-graph]");
    if (graph) { e.preventDefault(); zoomBy(graph, Math.exp(-e.deltaY / 300), e); }
  }, { passive: false });
  for (const [type, lit] of [["mouseover", true], ["focusin", true], ["mouseout", false], ["focusout", false]]) on(type, ".gnode", (e, node) => light(node.closest("[data-graph]"), lit ? node : null));
  const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  on("keydown", ".graphbox", (e, box) => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const graph = box.closest("[data-graph]"), key = e.key === "=" ? "+" : e.key === "_" ? "-" : e.key;
    if ("+-0".includes(key)) { e.preventDefault(); zoomBy(graph, key); return; }
    const way = ways[e.key], from = e.target.closest(".gnode");
    if (!way || !from) return; // the box itself scrolls
    e.preventDefault();
    const middle = (n) => { const r = n.getBoundingClientRect(); return [r.left + r.width / 2, r.top + r.height / 2]; };
    const [x, y] = middle(from);
    let best, least = Infinity;
    for (const n of $$(".gnode", box)) {
      const [nx, ny] = middle(n), along = (nx - x) * way[0] + (ny - y) * way[1], aside = Math.abs((nx - x) * way[1]) + Math.abs((ny - y) * way[0]);
      if (n === from || along < 4 || along < aside / 2) continue;
      if (along + 2 * aside < least) { least = along + 2 * aside; best = n; }
    }
    best?.focus();
    best?.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
  on("pointerdown", ".graphbox", (e, box) => {
    if (e.button !== 0 || e.pointerType !== "mouse" || e.target.closest("a")) return;
    const at = { x: e.clientX + box.scrollLeft, y: e.clientY + box.scrollTop };
    const move = (m) => { box.classList.add("panning"); box.scrollLeft = at.x - m.clientX; box.scrollTop = at.y - m.clientY; };
    const end = () => { box.classList.remove("panning"); removeEventListener("pointermove", move); };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end, { once: true });
    addEventListener("pointercancel", end, { once: true });
  });
  addEventListener("resize", () => dressGraphs());

  // --- toasts go by themselves, unless somebody is at them -------------------------------------------
  function toasts() {
    for (const t of $$(".toast:not([data-timed])")) {
      t.dataset.timed = "yes";
      const go = () => { if (!t.matches(":hover, :focus-within")) t.remove(); else setTimeout(go, 2000); };
      setTimeout(go, 7000);
    }
  }
  on("click", "[data-dismiss]", (e, el) => el.closest(el.dataset.dismiss || ".toast")?.remove());
  on("click", "[data-close]", (e, el) => el.closest("dialog")?.close());
  on("click", "[data-retry]", (e) => { e.preventDefault(); location.reload(); });
  on("change", "[data-submit-on-change]", (e, el) => el.form?.requestSubmit());

  function dress(of) { times(of); confirmations(of); secrets(of); logs(of); dressGraphs(); toasts(); $$("form[data-draft]").forEach((f) => { conditions(f); showErrors(f); }); }
  document.addEventListener("DOMContentLoaded", () => { dress(); drafts(); connect(); });
  document.addEventListener("htmx:after:swap", () => { dress(); if ($("#palette")?.open) choose(chosen < 0 ? 0 : chosen); });
  document.addEventListener("htmx:before:response", (e) => {
    if (e.detail?.ctx?.response?.status === 401) { e.preventDefault(); document.dispatchEvent(new Event("fl:session-over")); }
  });
})();
