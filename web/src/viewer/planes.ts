/** Three planes of one scan in NiiVue: radiological, with windows, labels, spread, drawing and measuring. */
import { DRAG_MODE, NVImage, Niivue, SLICE_TYPE } from "@niivue/niivue";
import { type Overlay, fillTexture, isSoftware, paintGreys, paintOverlay, toGreys, toLayout, withoutPasses } from "./painter";
import { type Point, type Tile, add, flip, scale, subtract, toPoint } from "./space";

export interface Window {
  level: number;
  width: number;
}

/** Colour of one label value; alpha 0 hides it. */
export interface LabelColour {
  value: number;
  name: string;
  rgba: readonly [number, number, number, number];
}

export type Mode = "look" | "measure" | "draw" | "erase" | "grow";

/** What is shown: bytes of the volumes, and their colours. */
export interface Shown {
  volume: ArrayBuffer;
  /** None where somebody looks who must not see where others drew. */
  labels: ArrayBuffer | null;
  spread: ArrayBuffer | null;
  colours: readonly LabelColour[];
  spreadColour: readonly [number, number, number];
  window: Window;
  /** One plane by itself instead of three. */
  only?: Tile["plane"];
}

export interface Measured {
  length_mm: number;
  start: Point;
  end: Point;
}

/** Shorter ones are clicks. */
const LEAST_MM = 0.5;
const PLANES: Partial<Record<number, Tile["plane"]>> = { 0: "axial", 1: "coronal", 2: "sagittal" };
const SLICES = { axial: SLICE_TYPE.AXIAL, coronal: SLICE_TYPE.CORONAL, sagittal: SLICE_TYPE.SAGITTAL } as const;
/** Corners of a picture are looked at a little inside of it. */
const INSIDE = 0.02;
/** Labels are outlined, and filled so faintly that the scan is read through them. */
const FILL = 0.16;
const OUTLINE = 0.85;
const LOOK_EVERY_MS = 15;
const SPREAD_COLOURS = "hepatica-spread";

export class Planes {
  private readonly nv: Niivue;
  private readonly canvas: HTMLCanvasElement;
  private labels: NVImage | null = null;
  private spread: NVImage | null = null;
  private values: ArrayLike<number> | null = null;
  private window: Window | null = null;
  private colours: readonly LabelColour[] = [];
  private closed = false;
  private spreadColour: readonly [number, number, number] = [0, 0, 0];
  private hasSpread = false;
  /** Whether the processor fills the textures; decided once the context is there. */
  private paints = false;
  private readonly attached: Promise<unknown>;

  constructor(canvas: HTMLCanvasElement, told: { drawn: () => void; moved: (at: Point) => void; measured: (found: Measured) => void }) {
    this.canvas = canvas;
    this.nv = new Niivue({
      isRadiologicalConvention: true,
      sagittalNoseLeft: true,
      isOrientationTextVisible: false,
      isOrientCube: false,
      isColorbar: false,
      backColor: [0.043, 0.055, 0.067, 1],
      crosshairColor: [0.55, 0.62, 0.68, 0.7],
      crosshairWidth: 1.2,
      crosshairWidthUnit: "mm",
      crosshairGap: 8,
      show3Dcrosshair: false,
      dragMode: DRAG_MODE.pan,
      dragAndDropEnabled: false,
      measureLineColor: [0.94, 0.94, 0.94, 1],
      measureTextColor: [0.94, 0.94, 0.94, 1],
      rulerWidth: 1.5,
      drawOpacity: 0.6,
      logLevel: "error",
    } as ConstructorParameters<typeof Niivue>[0]);
    const draw = this.nv.drawScene.bind(this.nv);
    // The viewer does not say when it has zoomed or panned; whatever it does, it draws.
    this.nv.drawScene = (...given: Parameters<typeof draw>) => {
      const result = draw(...given);
      if (!this.closed) told.drawn();
      return result;
    };
    this.nv.onLocationChange = (at: unknown) => {
      const mm = (at as { mm?: ArrayLike<number> }).mm;
      if (mm) told.moved(flip(toPoint(Array.from(mm))));
    };
    this.nv.onMeasurementCompleted = (found) => {
      const { distance: length = 0, startMM = [], endMM = [] } = found as Partial<Record<"startMM" | "endMM", ArrayLike<number>>> & { distance?: number };
      const [start, end] = [flip(toPoint(Array.from(startMM))), flip(toPoint(Array.from(endMM)))];
      if (length > LEAST_MM) told.measured({ length_mm: length, start, end });
    };
    // The context and its programs are made while the volumes are on their way.
    this.attached = this.nv.attachToCanvas(canvas, false).then(() => performance.mark("viewer: context"));
    // Whoever opens is told; nobody else has to hear of it.
    this.attached.catch(() => undefined);
  }

  get isOpen(): boolean {
    return !this.closed && this.nv.volumes.length > 0;
  }

  /** Show a scan with its labels and spread, all in one pass: each pass goes over every voxel. */
  async open(given: Shown): Promise<void> {
    performance.mark("viewer: bytes");
    const { volume, labels, spread, window } = given;
    if (spread) {
      const [r, g, b] = given.spreadColour;
      this.nv.addColormap(SPREAD_COLOURS, { R: [0, r, r], G: [0, g, g], B: [0, b, b], A: [0, 60, 190], I: [0, 26, 255] } as Parameters<Niivue["addColormap"]>[1]);
    }
    const [scan, map, share] = await Promise.all([
      toImage(volume, "volume.nii", "gray", window),
      labels ? toImage(labels, "labels.nii", "gray", null) : null,
      spread ? toImage(spread, "spread.nii", SPREAD_COLOURS, { level: 0.5, width: 1 }) : null,
    ]);
    performance.mark("viewer: unpacked");
    await this.attached;
    if (this.closed) return;
    if (map) {
      map.setColormapLabel(toTable(given.colours));
      this.values = map.img ? map.img.slice() : null;
      this.hide(map, given.colours);
      map.opacity = FILL;
    }
    this.labels = map;
    this.spread = share;
    this.colours = given.colours;
    this.spreadColour = given.spreadColour;
    this.window = window;
    this.paints = isSoftware(this.nv.gl) && canPaint(scan, map, share);
    this.nv.opts.atlasOutline = OUTLINE;
    this.skipGradients();
    this.nv.opts.sliceType = SLICE_TYPE.MULTIPLANAR;
    // The fourth corner, below the axial plane, is left for the view in three dimensions.
    this.nv.customLayout = [
      { sliceType: SLICE_TYPE.AXIAL, position: [0, 0, 0.54, 0.66] },
      { sliceType: SLICE_TYPE.CORONAL, position: [0.54, 0, 0.46, 0.5] },
      { sliceType: SLICE_TYPE.SAGITTAL, position: [0.54, 0.5, 0.46, 0.5] },
    ];
    if (given.only) {
      this.nv.customLayout = [{ sliceType: SLICES[given.only], position: [0, 0, 1, 1] }];
      // Keys are the page's: the viewer would take arrows for itself. And nothing lies over what is measured.
      this.canvas.removeAttribute("tabindex");
      this.nv.opts.crosshairWidth = 0;
    }
    this.nv.volumes = map ? [scan, map] : [scan];
    this.nv.back = scan;
    this.nv.overlays = map ? [map] : [];
    if (this.paints) {
      // One pass for all that lies on the scan.
      this.hasSpread = share !== null;
      withoutPasses(this.nv, () => this.nv.volumes.forEach((image, number) => this.nv.refreshLayers(image, number)));
      this.paintScan();
      this.paintLabels();
      this.nv.drawScene();
    } else this.nv.updateGLVolume();
    performance.mark("viewer: asked");
    await this.waitForPicture();
    performance.mark("viewer: drawn");
  }

  /** Lay the spread over what stands. */
  addSpread(): void {
    if (!this.spread || this.nv.volumes.includes(this.spread)) return;
    if (this.paints) return;
    this.nv.volumes = [...this.nv.volumes, this.spread];
    this.nv.overlays = this.nv.volumes.slice(1);
    this.nv.refreshLayers(this.spread, this.nv.volumes.length - 1);
    this.nv.drawScene();
    performance.mark("viewer: spread");
  }

  setLabelColours(colours: readonly LabelColour[]): void {
    if (!this.labels || JSON.stringify(colours) === JSON.stringify(this.colours)) return;
    this.colours = colours;
    this.labels.setColormapLabel(toTable(colours));
    this.hide(this.labels, colours);
    this.refreshOverlays();
  }

  showSpread(visible: boolean): void {
    if (!this.spread || this.spread.opacity === Number(visible)) return;
    this.spread.opacity = Number(visible);
    this.refreshOverlays();
  }

  setWindow(window: Window): void {
    const volume = this.nv.volumes[0];
    if (!volume || (window.level === this.window?.level && window.width === this.window.width)) return;
    this.window = window;
    volume.cal_min = window.level - window.width / 2;
    volume.cal_max = window.level + window.width / 2;
    // Only the scan: overlays stay as they are.
    if (this.paints) this.paintScan();
    else this.nv.refreshLayers(volume, 0);
    this.nv.drawScene();
  }

  /** Put the cross hairs, and with them the three planes, on a point. */
  moveTo(point: Point): void {
    const [x, y, z] = flip(point);
    const found = Array.from(this.nv.mm2frac([x, y, z] as never, 0, true));
    // A scan that ends before the point is shown at its end, not empty.
    this.nv.scene.crosshairPos = found.map((share) => Math.min(1, Math.max(0, share))) as never;
    this.nv.createOnLocationChange();
    this.nv.drawScene();
  }

  /** The point where the planes stand. */
  readAt(): Point {
    return flip(toPoint(Array.from(this.nv.frac2mm(this.nv.scene.crosshairPos, 0, true))));
  }

  /** Show one plane large, or all three. */
  step(plane: Tile["plane"], by: number): void {
    const steps = { axial: [0, 0, by], coronal: [0, by, 0], sagittal: [by, 0, 0] }[plane] as [number, number, number];
    this.nv.moveCrosshairInVox(...steps);
  }

  resetView(): void {
    this.nv.setPan2Dxyzmm([0, 0, 0, 1] as never);
  }

  setMode(mode: Mode, penValue = 1): void {
    this.nv.opts.dragModePrimary = mode === "measure" ? DRAG_MODE.measurement : DRAG_MODE.crosshair;
    const draws = mode === "draw" || mode === "erase" || mode === "grow";
    this.nv.opts.clickToSegment = mode === "grow";
    if (draws && !this.nv.drawBitmap) this.nv.createEmptyDrawing();
    this.nv.setDrawingEnabled(draws);
    if (draws) this.nv.setPenValue(mode === "erase" ? 0 : penValue, mode !== "erase");
    this.nv.drawScene();
  }

  /** Width of brush and eraser, in voxels of the plane. */
  setPenSize(voxels: number): void {
    this.nv.opts.penSize = voxels;
  }

  /** Begin the drawing with what a label holds: it is then brushed on or erased from. */
  takeIntoDrawing(value: number, penValue = 1): void {
    const { labels, values, nv } = this;
    const { dimsRAS, img2RASstep: step, img2RASstart: start } = labels ?? {};
    if (!values || !dimsRAS || !step || !start) return;
    if (!nv.drawBitmap) nv.createEmptyDrawing();
    const drawn = nv.drawBitmap;
    if (!drawn) return;
    const [, nx = 0, ny = 0, nz = 0] = dimsRAS;
    const [sx = 0, sy = 0, sz = 0] = step;
    const from = (start[0] ?? 0) + (start[1] ?? 0) + (start[2] ?? 0);
    // The map lies as it was stored, a drawing lies in RAS.
    let at = 0;
    for (let z = 0; z < nz; z += 1) {
      for (let y = 0; y < ny; y += 1) {
        let there = from + y * sy + z * sz;
        for (let x = 0; x < nx; x += 1, there += sx, at += 1) if (values[there] === value) drawn[at] = penValue;
      }
    }
    nv.drawAddUndoBitmap();
    nv.refreshDrawing(true);
  }

  setGrowing(percent: number): void {
    this.nv.opts.clickToSegmentPercent = percent;
  }

  undoDrawing(): void {
    this.nv.drawUndo();
  }

  dropDrawing(): void {
    this.nv.setDrawingEnabled(false);
    this.nv.closeDrawing();
  }

  countDrawn(): number {
    let count = 0;
    for (const value of this.nv.drawBitmap ?? []) if (value) count += 1;
    return count;
  }

  /** The drawing as a map of labels on the scan's own grid. */
  async saveDrawing(): Promise<Uint8Array | null> {
    const saved = await this.nv.saveImage({ filename: "", isSaveDrawing: true, volumeByIndex: 0 });
    return saved instanceof Uint8Array ? saved : null;
  }

  dropMeasures(): void {
    this.nv.clearAllMeasurements?.();
    this.nv.drawScene();
  }

  /** Where each plane lies on the page now, and which way its millimetres run. */
  listTiles(): Tile[] {
    const tiles: Tile[] = [];
    const perPixel = this.canvas.width / Math.max(1, this.canvas.clientWidth);
    this.nv.screenSlices.forEach((slice, number) => {
      const plane = PLANES[slice.axCorSag];
      if (!plane) return;
      const [left = 0, top = 0, wide = 0, height = 0] = Array.from(slice.leftTopWidthHeight);
      const start = Math.min(left, left + wide);
      const width = Math.abs(wide);
      const look = (fx: number, fy: number): Point => {
        const fraction = this.nv.screenXY2TextureFrac(start + fx * width, top + fy * height, number, false);
        return flip(toPoint(Array.from(this.nv.frac2mm(fraction, 0, true))));
      };
      const corner = look(INSIDE, INSIDE);
      const span = 1 - 2 * INSIDE;
      const right = scale(subtract(look(1 - INSIDE, INSIDE), corner), perPixel / (span * width));
      const down = scale(subtract(look(INSIDE, 1 - INSIDE), corner), perPixel / (span * height));
      const shown = { left: start / perPixel, top: top / perPixel, width: width / perPixel, height: height / perPixel };
      const origin = subtract(corner, add(scale(right, INSIDE * shown.width), scale(down, INSIDE * shown.height)));
      tiles.push({ plane, ...shown, origin, right, down });
    });
    return tiles;
  }

  close(): void {
    this.closed = true;
    // A context that is taken away while its programs are made fails loudly: wait for them.
    void this.attached
      .catch(() => undefined)
      .then(() => {
        this.nv.cleanup?.();
        this.nv.gl?.getExtension("WEBGL_lose_context")?.loseContext();
      });
  }

  /** Take hidden labels out of the map: an outline would be drawn around them all the same. */
  private hide(map: NVImage, colours: readonly LabelColour[]): void {
    if (!map.img || !this.values) return;
    const shown = new Set(colours.filter((one) => one.rgba[3] > 0).map((one) => one.value));
    const most = colours.reduce((all, one) => Math.max(all, one.value), 0);
    const kept = Uint16Array.from({ length: most + 1 }, (_, value) => (shown.has(value) ? value : 0));
    const { img } = map;
    const { values } = this;
    for (let n = 0, count = img.length; n < count; n += 1) img[n] = kept[values[n] as number] as number;
  }

  /**
   * Gradients light a rendered volume, which this view has none of, and cost more than all else together: they are
   * made of one voxel. The first pass of their making asks for its program; from there on the scan looks that small.
   */
  private skipGradients(): void {
    const blur = this.nv.blurShader;
    if (!blur) return;
    const use = blur.use.bind(blur);
    const refresh = this.nv.refreshLayers.bind(this.nv);
    this.nv.refreshLayers = (image, layer) => {
      const { hdr } = image;
      const dims = hdr?.dims;
      blur.use = (gl) => {
        use(gl);
        if (hdr && layer === 0) hdr.dims = [3, 1, 1, 1, 1, 1, 1, 1];
      };
      try {
        refresh(image, layer);
      } finally {
        blur.use = use;
        if (hdr && dims) hdr.dims = dims;
      }
    };
  }

  /** Wait until the graphics have done what they were asked to. */
  private waitForPicture(): Promise<void> {
    const { gl } = this.nv;
    const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
    return new Promise((resolve) => {
      const look = () => {
        const done = this.closed || !fence || gl.clientWaitSync(fence, 0, 0) !== gl.TIMEOUT_EXPIRED;
        if (done) resolve();
        else window.setTimeout(look, LOOK_EVERY_MS);
      };
      look();
    });
  }

  private paintScan(): void {
    const { nv } = this;
    const scan = nv.volumes[0];
    const layout = scan ? toLayout(scan) : null;
    if (!scan || !layout || !nv.volumeTexture) return;
    const greys = toGreys(scan.cal_min ?? 0, scan.cal_max ?? 1, scan.hdr?.scl_slope || 1, scan.hdr?.scl_inter ?? 0);
    fillTexture(nv.gl, nv.volumeTexture, layout.count, (out, first, slices) => paintGreys(out, scan.img as Int16Array, layout, greys, first, slices));
  }

  private paintLabels(): void {
    const { nv, labels, spread } = this;
    const layout = labels ? toLayout(labels) : null;
    const texture = nv.overlayTexture;
    if (!labels || !layout || !texture) return;
    const overlay: Overlay = { colours: toPacked(this.colours), fill: Math.round(255 * FILL), outline: Math.round(255 * OUTLINE) };
    const over = spread && this.hasSpread && spread.opacity > 0 ? toLayout(spread) : null;
    const shares = over && spread ? { values: spread.img as Uint8Array, layout: over, colours: toShares(this.spreadColour) } : null;
    fillTexture(nv.gl, texture, layout.count, (out, first, slices) => paintOverlay(out, labels.img as Uint8Array, layout, overlay, shares, first, slices));
  }

  private refreshOverlays(): void {
    if (this.paints) {
      this.paintLabels();
      this.nv.drawScene();
      return;
    }
    this.nv.volumes.slice(1).forEach((image, number) => this.nv.refreshLayers(image, number + 1));
    this.nv.drawScene();
  }
}

/** Every image here is shown in a range that is known: the viewer would look for one in every voxel. */
NVImage.prototype.calMinMax = function calibrate(this: NVImage) {
  const [low, high] = [this.hdr?.cal_min ?? 0, this.hdr?.cal_max ?? 1];
  Object.assign(this, { cal_min: low, cal_max: high, robust_min: low, robust_max: high, global_min: low, global_max: high });
  return [low, high, low, high];
};

function toImage(bytes: ArrayBuffer, name: string, colours: string, window: Window | null): Promise<NVImage> {
  const range = window ? { cal_min: window.level - window.width / 2, cal_max: window.level + window.width / 2 } : { cal_min: 0, cal_max: 255 };
  return NVImage.loadFromUrl({ url: name, name, buffer: bytes, colormap: colours, opacity: 1, ...range });
}

/** Whether the volumes are of the kinds, and on the one grid, that the processor paints. */
function canPaint(scan: NVImage, map: NVImage | null, share: NVImage | null): boolean {
  const length = scan.img?.length ?? 0;
  const fits = (image: NVImage | null) => image === null || image.img?.length === length;
  const kinds = scan.img instanceof Int16Array && (map === null || map.img instanceof Uint8Array || map.img instanceof Uint16Array);
  return length > 0 && kinds && (share === null || share.img instanceof Uint8Array) && fits(map) && fits(share);
}

/** Colours by label value, packed; hidden ones are 0. */
function toPacked(colours: readonly LabelColour[]): Uint32Array {
  const packed = new Uint32Array(colours.reduce((most, one) => Math.max(most, one.value), 0) + 1);
  for (const { value, rgba } of colours) if (rgba[3] > 0) packed[value] = ((255 << 24) | (rgba[2] << 16) | (rgba[1] << 8) | rgba[0]) >>> 0;
  return packed;
}

/** Colours by percent of draws, packed, as the viewer's own table of them says. */
function toShares([r, g, b]: readonly [number, number, number]): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, share) => {
    const at = Math.min(255, share * 2.55);
    const part = Math.min(1, at / 26);
    const alpha = at <= 26 ? 60 * part : 60 + (130 * (at - 26)) / 229;
    return ((Math.round(alpha) << 24) | (Math.round(b * part) << 16) | (Math.round(g * part) << 8) | Math.round(r * part)) >>> 0;
  });
}

function toTable(colours: readonly LabelColour[]) {
  const all = [{ value: 0, name: "", rgba: [0, 0, 0, 0] as const }, ...colours];
  return {
    R: all.map((one) => one.rgba[0]),
    G: all.map((one) => one.rgba[1]),
    B: all.map((one) => one.rgba[2]),
    A: all.map((one) => one.rgba[3]),
    I: all.map((one) => one.value),
    labels: all.map((one) => one.name),
  };
}
