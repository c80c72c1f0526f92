/** Windows that readers of the liver use, in Hounsfield units. */
import type { Window } from "../../viewer/planes";

export type WindowName = "soft tissue" | "liver" | "lung" | "bone";

export const WINDOWS: Record<WindowName, Window> = {
  "soft tissue": { level: 40, width: 400 },
  liver: { level: 90, width: 150 },
  lung: { level: -600, width: 1500 },
  bone: { level: 400, width: 1800 },
};
