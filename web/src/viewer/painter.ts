/**
 * Colours of voxels by the processor. Graphics without a card of their own pay for every voxel of every pass what the
 * processor pays for ten; on these machines the three-dimensional textures are filled from here.
 */
import type { NVImage, Niivue } from "@niivue/niivue";

/** How a volume's voxels lie: number along R, A, S, and where each begins in the file. */
export interface Layout {
  count: readonly [number, number, number];
  step: readonly [number, number, number];
  start: number;
}

export interface Overlay {
  /** Colour by label value, packed; 0 hides it. */
  colours: Uint32Array;
  /** Alpha inside and on the outline, of 255. */
  fill: number;
  outline: number;
}

const SLAB_VOXELS = 4 << 20;
const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i;

/** Whether the graphics are made by the processor. */
export function isSoftware(gl: WebGL2RenderingContext): boolean {
  const info = gl.getExtension("WEBGL_debug_renderer_info");
  return SOFTWARE.test(String(gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER)));
}

export function toLayout(image: NVImage): Layout | null {
  const { dimsRAS, img2RASstep: step, img2RASstart: start } = image;
  if (!dimsRAS || !step || !start) return null;
  return {
    count: [dimsRAS[1] ?? 0, dimsRAS[2] ?? 0, dimsRAS[3] ?? 0],
    step: [step[0] ?? 0, step[1] ?? 0, step[2] ?? 0],
    start: (start[0] ?? 0) + (start[1] ?? 0) + (start[2] ?? 0),
  };
}

/** Grey by stored 16-bit number, packed, for a window on scaled numbers. */
export function toGreys(low: number, high: number, slope: number, intercept: number): Uint32Array {
  const greys = new Uint32Array(1 << 16);
  const scale = 255 / Math.max(1e-6, high - low);
  for (let stored = -32768; stored < 32768; stored += 1) {
    const grey = Math.min(255, Math.max(0, Math.round((stored * slope + intercept - low) * scale)));
    greys[stored & 0xffff] = ((255 << 24) | (grey << 16) | (grey << 8) | grey) >>> 0;
  }
  return greys;
}

/** Fill slices from ``first`` on with the grey of each voxel. */
export function paintGreys(out: Uint32Array, values: Int16Array, layout: Layout, greys: Uint32Array, first: number, slices: number): void {
  const [nx, ny] = layout.count;
  const [sx, sy, sz] = layout.step;
  let at = 0;
  for (let z = first; z < first + slices; z += 1) {
    for (let y = 0; y < ny; y += 1) {
      let there = layout.start + y * sy + z * sz;
      for (let x = 0; x < nx; x += 1, there += sx, at += 1) out[at] = greys[(values[there] as number) & 0xffff] as number;
    }
  }
}

/** Fill slices with the colours of labels, outlined where a neighbour differs, and a spread over them. */
export function paintOverlay(
  out: Uint32Array,
  labels: Uint8Array | Uint16Array,
  layout: Layout,
  overlay: Overlay,
  spread: { values: Uint8Array; layout: Layout; colours: Uint32Array } | null,
  first: number,
  slices: number,
): void {
  const [nx, ny, nz] = layout.count;
  const [sx, sy, sz] = layout.step;
  const { colours } = overlay;
  const [fill, outline] = [overlay.fill << 24, overlay.outline << 24];
  let at = 0;
  for (let z = first; z < first + slices; z += 1) {
    for (let y = 0; y < ny; y += 1) {
      let there = layout.start + y * sy + z * sz;
      let over = spread ? spread.layout.start + y * spread.layout.step[1] + z * spread.layout.step[2] : 0;
      for (let x = 0; x < nx; x += 1, there += sx, at += 1) {
        const value = labels[there] as number;
        let pixel = 0;
        if (value !== 0) {
          const colour = colours[value] as number;
          if (colour !== 0) {
            const edge =
              (x > 0 && labels[there - sx] !== value) ||
              (x < nx - 1 && labels[there + sx] !== value) ||
              (y > 0 && labels[there - sy] !== value) ||
              (y < ny - 1 && labels[there + sy] !== value) ||
              (z > 0 && labels[there - sz] !== value) ||
              (z < nz - 1 && labels[there + sz] !== value);
            pixel = ((colour & 0xffffff) | (edge ? outline : fill)) >>> 0;
          }
        }
        if (spread) {
          const share = spread.values[over] as number;
          if (share !== 0) pixel = lay(spread.colours[share] as number, pixel);
          over += spread.layout.step[0];
        }
        out[at] = pixel;
      }
    }
  }
}

/** One colour over another, neither multiplied by its alpha. */
export function lay(top: number, under: number): number {
  const [a, b] = [(top >>> 24) / 255, (under >>> 24) / 255];
  const alpha = a + b * (1 - a);
  if (alpha === 0) return 0;
  let pixel = Math.round(alpha * 255) << 24;
  for (const shift of [0, 8, 16]) {
    const mixed = (((top >>> shift) & 255) * a + ((under >>> shift) & 255) * b * (1 - a)) / alpha;
    pixel |= Math.round(mixed) << shift;
  }
  return pixel >>> 0;
}

/** Let the viewer make its textures without filling them. */
export function withoutPasses(nv: Niivue, act: () => void): void {
  const gl = nv.gl as unknown as Record<string, unknown>;
  for (const name of ["drawArrays", "texSubImage3D"]) gl[name] = () => undefined;
  try {
    act();
  } finally {
    // What lies on the object hides what lies on its kind.
    for (const name of ["drawArrays", "texSubImage3D"]) delete gl[name];
  }
}

/** Fill a texture slab by slab, so that no second copy of the whole is held. */
export function fillTexture(gl: WebGL2RenderingContext, texture: WebGLTexture, count: Layout["count"], paint: (out: Uint32Array, first: number, slices: number) => void): void {
  const [nx, ny, nz] = count;
  const most = Math.max(1, Math.floor(SLAB_VOXELS / Math.max(1, nx * ny)));
  const slab = new Uint32Array(nx * ny * Math.min(most, nz));
  const bytes = new Uint8Array(slab.buffer);
  // A unit of its own: the viewer's bindings stay.
  gl.activeTexture(gl.TEXTURE15);
  gl.bindTexture(gl.TEXTURE_3D, texture);
  gl.pixelStorei(gl.UNPACK_ALIGNMENT, 4);
  for (let first = 0; first < nz; first += most) {
    const slices = Math.min(most, nz - first);
    paint(slab, first, slices);
    gl.texSubImage3D(gl.TEXTURE_3D, 0, 0, 0, first, nx, ny, slices, gl.RGBA, gl.UNSIGNED_BYTE, bytes, 0);
  }
  gl.bindTexture(gl.TEXTURE_3D, null);
  gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
}
