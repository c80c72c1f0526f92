import type { PageDefinition } from "../../shell/pages";

export const page: PageDefinition = {
  path: "/audit",
  title: "Audit trail",
  rights: ["audit.read"],
  nav: { label: "Audit", order: 80 },
  load: () => import("./AuditPage"),
};
