// Builds each component into ../assets/NAME-HASH.js, and removes what an earlier build left.
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const assets = join(import.meta.dirname, "..", "assets");
const components = { viewer: "src/viewer/main.ts" };

mkdirSync(assets, { recursive: true });
for (const [name, entry] of Object.entries(components)) {
  const result = await build({
    absWorkingDir: import.meta.dirname,
    entryPoints: [entry],
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    target: "es2022",
    charset: "utf8",
    legalComments: "inline",
    loader: { ".css": "text" },
  });
  const code = result.outputFiles[0].contents;
  const hash = createHash("sha256").update(code).digest("hex").slice(0, 12);
  const built = `${name}-${hash}.js`;
  for (const old of readdirSync(assets)) {
    if (old.startsWith(`${name}-`) && old !== built) unlinkSync(join(assets, old));
  }
  writeFileSync(join(assets, built), code);
  console.log(`${built} ${code.length} bytes`);
}
