import type { PageDefinition } from "../../shell/pages";

export const page: PageDefinition = {
  path: "/read/:readId",
  title: "Read",
  rights: ["read.read", "lesion.read", "measurement.read"],
  dark: true,
  load: () => import("./ReadPage"),
};
