import type { PageDefinition } from "../../shell/pages";

export const page: PageDefinition = {
  path: "/people",
  title: "People and sites",
  rights: ["account.read", "site.read"],
  nav: { label: "People", order: 90 },
  load: () => import("./PeoplePage"),
};
