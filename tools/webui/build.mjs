// Builds what internal/webui embeds: styles with Tailwind, the icons that are
// used as one file of symbols, and htmx as its authors publish it.
import { execFileSync } from "node:child_process";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const webui = join(here, "../../internal/webui");
const modules = join(here, "node_modules");

execFileSync(process.execPath, [join(modules, "@tailwindcss/cli/dist/index.mjs"), "-i", join(webui, "styles/portal.css"), "-o", join(webui, "assets/portal.css"), "--minify"], { stdio: ["ignore", "inherit", "pipe"], env: { ...process.env, NODE_PATH: modules } });

const names = readFileSync(join(here, "icons.txt"), "utf8").split("\n").filter(Boolean).sort();
const symbols = names.map((name) => {
  const svg = readFileSync(join(modules, "lucide-static/icons", name + ".svg"), "utf8");
  const inner = svg.replace(/<!--[\s\S]*?-->/g, "").replace(/[\s\S]*?<svg[^>]*>/, "").replace(/<\/svg>[\s\S]*/, "").replace(/\s+/g, " ").replace(/> </g, "><").trim();
  return `<symbol id="${name}" viewBox="0 0 24 24">${inner}</symbol>`;
});
writeFileSync(join(webui, "assets/icons.svg"), `<svg xmlns="http://www.w3.org/2000/svg">\n${symbols.join("\n")}\n</svg>\n`);

const strip = (text) => text.replace(/\n?\/\/# sourceMappingURL=.*\s*$/, "\n");
writeFileSync(join(webui, "assets/htmx.js"), strip(readFileSync(join(modules, "htmx.org/dist/htmx.min.js"), "utf8")));
copyFileSync(join(modules, "axe-core/axe.min.js"), join(here, "../../e2e/testdata/axe.min.js"));
