/** Collects the licences of everything that is built into the pages: they must travel with it. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Plugin } from "vite";

interface Locked {
  packages: Record<string, { version?: string; license?: string; dev?: boolean; peer?: boolean; optional?: boolean }>;
}

function readLicence(folder: string): string {
  if (!existsSync(folder)) return "";
  const name = readdirSync(folder).find((one) => /^(licen[cs]e|copying)/i.test(one));
  return name ? readFileSync(join(folder, name), "utf8").trim() : "";
}

/** Leave ``licences.txt`` beside the pages. */
export function shipLicences(root: string): Plugin {
  return {
    name: "ship-licences",
    generateBundle() {
      const locked = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as Locked;
      const parts = Object.entries(locked.packages)
        .filter(([path, facts]) => path !== "" && !facts.dev && existsSync(join(root, path)))
        .map(([path, facts]) => {
          const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
          return `${name} ${facts.version ?? ""} (${facts.license ?? "see below"})\n\n${readLicence(join(root, path))}`;
        });
      this.emitFile({ type: "asset", fileName: "licences.txt", source: parts.join(`\n\n${"-".repeat(78)}\n\n`) });
    },
  };
}
