// Writes the tables of keys from the keymap: docs/keys.md for readers, assets/keys.json for the pages.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

const here = import.meta.dirname;
const out = mkdtempSync(join(tmpdir(), "tomocurate-keys-"));
const outfile = join(out, "keymap.mjs");
await build({
  entryPoints: [join(here, "src/planes/keymap.ts")],
  bundle: true,
  format: "esm",
  outfile,
});
const { helpRows } = await import(pathToFileURL(outfile).href);
rmSync(out, { recursive: true });

const titles = {
  viewer: "Browse & choose",
  painter: "Painter",
  review: "Look around in a review",
};
const tables = Object.entries(titles).map(([mode, title]) => {
  const rows = helpRows(mode).map(([keys, what]) => `| ${keys} | ${what} |`);
  return [`## ${title}`, "", "| Keys | What they do |", "|---|---|", ...rows].join("\n");
});
const text = `# Keys

The keys and gestures of the planes; \`?\` shows them on the page. A key means the same everywhere.
Written by \`npm run keys\` in \`dashboard/frontend\` from \`src/planes/keymap.ts\`.

${tables.join("\n\n")}
`;
writeFileSync(join(here, "../../docs/keys.md"), text);
const listed = Object.fromEntries(Object.keys(titles).map((mode) => [mode, helpRows(mode)]));
writeFileSync(join(here, "../assets/keys.json"), `${JSON.stringify(listed, null, 1)}\n`);
