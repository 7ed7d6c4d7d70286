// Biome for this platform, by its binary. The package @biomejs/biome names all platforms, which not every registry has,
// and then `npm ci` refuses the lock file.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

const { platform, arch } = process;
const binary = join(import.meta.dirname, "..", "node_modules", "@biomejs", `cli-${platform}-${arch}`, "biome");
if (!existsSync(binary)) {
  console.error(`lint: there is no Biome for ${platform}-${arch} here, so nothing is checked`);
  process.exit(0);
}
process.exit(spawnSync(binary, ["check", ...process.argv.slice(2), "."], { stdio: "inherit" }).status ?? 1);
