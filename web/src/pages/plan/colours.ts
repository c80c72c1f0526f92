/** Colours of what is drawn on the scan; those with a meaning come from the theme, so that all pictures agree. */
import type { LabelColour } from "../../viewer/planes";
import type { Scene } from "./model";

export type Rgb = readonly [number, number, number];

export function readColour(name: string): Rgb {
  const text = getComputedStyle(document.documentElement).getPropertyValue(name).trim().replace("#", "");
  const number = Number.parseInt(text, 16);
  return [(number >> 16) & 255, (number >> 8) & 255, number & 255];
}

/** Structures apart from the meaningful hues: muted, told apart by name as well. */
const STRUCTURES: Record<string, Rgb> = {
  bone: [233, 226, 208],
  portal_vein: [111, 143, 200],
  hepatic_vein: [79, 111, 168],
  liver_vessel: [95, 127, 184],
  vena_cava: [79, 111, 168],
  aorta: [190, 96, 96],
  body: [143, 163, 176],
};
const OTHER: Rgb = [127, 154, 140];

export function toColour(kind: string, role: string, isNew: boolean): Rgb {
  if (isNew) return readColour("--new-lesion");
  if (role === "injected lesion") return readColour("--injected");
  if (role === "non-injected lesion") return readColour("--non-injected");
  if (kind === "liver") return readColour("--liver");
  return STRUCTURES[kind] ?? OTHER;
}

/** Fill is faint, so that the scan is read through it; outlines are the viewer's. */
export function toLabelColours(scene: Scene, hidden: ReadonlySet<number>): LabelColour[] {
  const isNew = new Set(scene.lesions.filter((one) => one.is_new).map((one) => one.lesion_id));
  return scene.labels.map((row) => {
    const [r, g, b] = toColour(row.kind, row.role, row.lesion_id !== null && isNew.has(row.lesion_id));
    const alpha = hidden.has(row.value) ? 0 : 255;
    return { value: row.value, name: row.name, rgba: [r, g, b, alpha] as const };
  });
}

/** From the best entry (yellow) to the worst that is free (dark), blocked skin grey: one ramp, readable in grey. */
export function toSkinColour(kind: number, share: number): readonly [number, number, number, number] {
  if (kind !== 0) return [84, 92, 100, 255];
  const stops: Rgb[] = [
    [253, 231, 37],
    [94, 201, 98],
    [33, 145, 140],
    [59, 82, 139],
  ];
  const at = Math.min(0.999, Math.max(0, share)) * (stops.length - 1);
  const low = stops[Math.floor(at)] ?? [0, 0, 0];
  const high = stops[Math.floor(at) + 1] ?? low;
  const part = at - Math.floor(at);
  const mix = (n: 0 | 1 | 2) => Math.round(low[n] + (high[n] - low[n]) * part);
  return [mix(0), mix(1), mix(2), 255];
}
