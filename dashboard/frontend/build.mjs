// Builds components into ../assets/NAME-HASH.js, and removes what an earlier build of them left.
//
//   node build.mjs                     every folder of src that has a main.ts
//   node build.mjs viewer              only this one
//   node build.mjs --out FOLDER        elsewhere, to compare with what is committed
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { build, transform } from "esbuild";

/** Styles become text, without what only readers of the source need. */
const minifiedStyles = {
  name: "minified styles",
  setup({ onLoad }) {
    onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const style = await transform(readFileSync(path, "utf8"), { loader: "css", minify: true });
      return { contents: style.code, loader: "text" };
    });
  },
};

const here = import.meta.dirname;
const { values, positionals } = parseArgs({
  options: { out: { type: "string" } },
  allowPositionals: true,
});
const assets = values.out ?? join(here, "..", "assets");
const entry = (name) => join("src", name, "main.ts");
const every = readdirSync(join(here, "src")).filter((name) => existsSync(join(here, entry(name))));

mkdirSync(assets, { recursive: true });
for (const name of positionals.length ? positionals : every) {
  const result = await build({
    absWorkingDir: here,
    entryPoints: [entry(name)],
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    target: "es2022",
    charset: "utf8",
    legalComments: "inline",
    plugins: [minifiedStyles],
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
