import type { PageDefinition } from "../../shell/pages";

export const page: PageDefinition = {
  path: "/quality",
  title: "Data quality",
  rights: ["query.read", "verification.read", "signature.read"],
  unblindedOnly: true,
  nav: { label: "Quality", order: 65 },
  load: () => import("./QualityPage"),
};
