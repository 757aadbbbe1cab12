// Build the page into dist/: `node build.mjs`. `node build.mjs --products` compiles products.c alone, which the tests need.
//
// Before it: npm install, and F and R from `python -m vosedu export --out web/build/networks`.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { how } from "./page/how.mjs";

const here = dirname(fileURLToPath(import.meta.url)), dist = join(here, "dist"), build = join(here, "build");
const scenes_from = join(here, "..", "data", "scenes");
const SCENES = ["huddle", "tumble", "late", "hidden", "shadow", "fast", "lookalikes"];
const MOST_BYTES = 40e6;

function refuse(line) {
  console.error(`build: ${line}`);
  process.exit(2);
}

/** products.c -> products.wasm */
function compile() {
  mkdirSync(build, { recursive: true });
  const flags = ["--target=wasm32", "-O3", "-msimd128", "-mbulk-memory", "-nostdlib", "-ffast-math", "-Wall", "-Werror",
    "-Wl,--no-entry", "-Wl,--export=__heap_base", "-Wl,--import-memory"];
  try {
    execFileSync(process.env.CLANG ?? "clang", [...flags, "-o", join(build, "products.wasm"), join(here, "engine", "products.c")],
      { stdio: "inherit" });
  } catch (error) {
    refuse(error.code === "ENOENT" ? "there is no clang: install clang and lld, or set CLANG" : "products.c does not compile: see above");
  }
}

/** Files below a folder, as paths from it. */
function files_in(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath ?? entry.path, entry.name)).replaceAll("\\", "/"))
    .sort();
}

function copy_scenes() {
  const notes = JSON.parse(readFileSync(join(scenes_from, "scenes.json"), "utf8")).scenes, list = [];
  for (const name of SCENES) {
    const out = join(dist, "scenes", name), { title, watch, frames, fps, objects } = notes[name];
    mkdirSync(out, { recursive: true });
    for (let index = 0; index < frames; index++) {
      const number = String(index).padStart(5, "0");
      copyFileSync(join(scenes_from, "JPEGImages", "480p", name, `${number}.jpg`), join(out, `${number}.jpg`));
      copyFileSync(join(scenes_from, "Annotations", "480p", name, `${number}.png`), join(out, `mask${number}.png`));
    }
    list.push({ name, title, watch, frames, fps, objects });
  }
  writeFileSync(join(dist, "scenes", "scenes.json"), JSON.stringify(list));
}

/** The runtime of the networks; its two WebAssembly files are packed, for a plain file server packs nothing. */
function copy_runtime() {
  const from = join(here, "node_modules", "onnxruntime-web", "dist"), out = join(dist, "ort");
  mkdirSync(out, { recursive: true });
  for (const name of ["ort.wasm.min.mjs", "ort.jspi.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.jspi.mjs"]) {
    copyFileSync(join(from, name), join(out, name));
  }
  for (const name of ["ort-wasm-simd-threaded.wasm", "ort-wasm-simd-threaded.jspi.wasm"]) {
    writeFileSync(join(out, `${name}.packed`), gzipSync(readFileSync(join(from, name)), { level: 9 }));
  }
}

async function bundle() {
  const { build: esbuild } = await import("esbuild");
  await esbuild({
    entryPoints: [join(here, "page", "page.js"), join(here, "page", "worker.js")],
    outdir: dist, bundle: true, format: "esm", minify: true, target: "es2022", external: ["./ort/*"], logLevel: "warning",
  });
}

async function main() {
  compile();
  if (process.argv.includes("--products")) return;
  if (!existsSync(join(here, "node_modules"))) refuse("the packages are missing: run npm install in web/");
  if (!existsSync(join(build, "networks", "R.onnx"))) {
    refuse("F and R are missing: run python -m vosedu export --out web/build/networks");
  }
  rmSync(dist, { recursive: true, force: true });
  mkdirSync(dist);
  await bundle();
  copy_runtime();
  copy_scenes();
  cpSync(join(build, "networks"), join(dist, "networks"), { recursive: true });
  copyFileSync(join(build, "products.wasm"), join(dist, "products.wasm"));
  for (const name of ["index.html", "style.css"]) copyFileSync(join(here, "page", name), join(dist, name));
  writeFileSync(join(dist, "how.html"), how(join(here, "engine")));
  const files = files_in(dist), whole = createHash("sha256");
  for (const file of files) whole.update(file).update(readFileSync(join(dist, file)));
  const worker = readFileSync(join(here, "page", "sw.js"), "utf8")
    .replace("%VERSION%", `vosedu-${whole.digest("hex").slice(0, 12)}`).replace('"%FILES%"', files.map((file) => JSON.stringify(file)).join(", "));
  writeFileSync(join(dist, "sw.js"), worker);
  const bytes = files_in(dist).reduce((sum, file) => sum + statSync(join(dist, file)).size, 0);
  console.log(`${dist}: ${(bytes / 1e6).toFixed(1)} MB in ${files.length + 1} files`);
  if (bytes > MOST_BYTES) refuse(`${MOST_BYTES / 1e6} MB are the most: take a scene out of SCENES`);
}

await main();
