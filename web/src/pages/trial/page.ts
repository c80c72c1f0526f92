import type { PageDefinition } from "../../shell/pages";

export const page: PageDefinition = {
  path: "/trial",
  title: "Trial",
  rights: ["trial.read"],
  unblindedOnly: true,
  nav: { label: "Trial", order: 50 },
  load: () => import("./TrialPage"),
};
