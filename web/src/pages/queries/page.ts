import type { PageDefinition } from "../../shell/pages";

export const page: PageDefinition = {
  path: "/queries",
  title: "Queries",
  rights: ["query.read"],
  unblindedOnly: true,
  nav: { label: "Queries", order: 60 },
  load: () => import("./QueriesPage"),
};
