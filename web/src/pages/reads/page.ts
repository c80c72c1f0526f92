import type { PageDefinition } from "../../shell/pages";

export const page: PageDefinition = {
  path: "/reads",
  title: "Reads",
  rights: ["read.read"],
  nav: { label: "Reads", order: 40 },
  load: () => import("./ReadsPage"),
};
