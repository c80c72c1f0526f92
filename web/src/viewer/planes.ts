/** Three planes of one scan in NiiVue: radiological, with windows, labels, spread, drawing and measuring. */
import { DRAG_MODE, NVImage, Niivue, SLICE_TYPE } from "@niivue/niivue";
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

export interface Measured {
  length_mm: number;
}

/** Shorter ones are clicks. */
const LEAST_MM = 0.5;
const PLANES: Partial<Record<number, Tile["plane"]>> = { 0: "axial", 1: "coronal", 2: "sagittal" };
/** Corners of a picture are looked at a little inside of it. */
const INSIDE = 0.02;
const SPREAD_COLOURS = "hepatica-spread";

export class Planes {
  private readonly nv: Niivue;
  private readonly canvas: HTMLCanvasElement;
  private labels: NVImage | null = null;
  private colours: readonly LabelColour[] = [];
  private closed = false;

  constructor(canvas: HTMLCanvasElement, told: { drawn: () => void; moved: (at: Point) => void; measured: (found: Measured) => void }) {
    this.canvas = canvas;
    this.nv = new Niivue({
      isRadiologicalConvention: true,
      isOrientationTextVisible: false,
      isOrientCube: false,
      isColorbar: false,
      backColor: [0.043, 0.055, 0.067, 1],
      crosshairColor: [0.55, 0.62, 0.68, 0.7],
      crosshairWidth: 1,
      crosshairWidthUnit: "voxels",
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
      const length = (found as { distance?: number }).distance ?? 0;
      if (length > LEAST_MM) told.measured({ length_mm: length });
    };
  }

  async open(volume: ArrayBuffer, window: Window): Promise<void> {
    await this.nv.attachToCanvas(this.canvas, false);
    const image = await this.toImage(volume, "volume.nii.gz", "gray", 1, window);
    this.nv.addVolume(image);
    this.nv.setSliceType(SLICE_TYPE.MULTIPLANAR);
    this.nv.setCustomLayout([
      { sliceType: SLICE_TYPE.AXIAL, position: [0, 0, 0.5, 0.5] },
      { sliceType: SLICE_TYPE.CORONAL, position: [0.5, 0, 0.5, 0.5] },
      { sliceType: SLICE_TYPE.SAGITTAL, position: [0, 0.5, 0.5, 0.5] },
    ]);
  }

  async addLabels(bytes: ArrayBuffer, colours: readonly LabelColour[]): Promise<void> {
    const image = await this.toImage(bytes, "labels.nii.gz", "gray", 1, null);
    this.labels = image;
    this.colours = colours;
    image.setColormapLabel(toTable(colours));
    this.nv.setAtlasOutline(1);
    this.nv.addVolume(image);
  }

  setLabelColours(colours: readonly LabelColour[]): void {
    if (!this.labels || colours === this.colours) return;
    this.colours = colours;
    this.labels.setColormapLabel(toTable(colours));
    this.nv.updateGLVolume();
  }

  async addSpread(bytes: ArrayBuffer, rgb: readonly [number, number, number]): Promise<NVImage> {
    this.nv.addColormap(SPREAD_COLOURS, {
      R: [0, rgb[0], rgb[0]],
      G: [0, rgb[1], rgb[1]],
      B: [0, rgb[2], rgb[2]],
      A: [0, 60, 190],
      I: [0, 26, 255],
    } as Parameters<Niivue["addColormap"]>[1]);
    const image = await this.toImage(bytes, "spread.nii.gz", SPREAD_COLOURS, 1, { level: 0.5, width: 1 });
    this.nv.addVolume(image);
    return image;
  }

  setVisible(image: NVImage, visible: boolean): void {
    this.nv.setOpacity(this.nv.volumes.indexOf(image), visible ? 1 : 0);
  }

  setWindow(window: Window): void {
    const volume = this.nv.volumes[0];
    if (!volume) return;
    volume.cal_min = window.level - window.width / 2;
    volume.cal_max = window.level + window.width / 2;
    this.nv.updateGLVolume();
  }

  /** Put the cross hairs, and with them the three planes, on a point. */
  moveTo(point: Point): void {
    const [x, y, z] = flip(point);
    this.nv.scene.crosshairPos = this.nv.mm2frac([x, y, z] as never, 0, true);
    this.nv.createOnLocationChange();
    this.nv.drawScene();
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
    this.nv.cleanup?.();
    this.nv.gl?.getExtension("WEBGL_lose_context")?.loseContext();
  }

  private toImage(bytes: ArrayBuffer, name: string, colours: string, opacity: number, window: Window | null): Promise<NVImage> {
    const low = window ? window.level - window.width / 2 : Number.NaN;
    const high = window ? window.level + window.width / 2 : Number.NaN;
    return NVImage.loadFromUrl({
      url: name,
      name,
      buffer: bytes,
      colormap: colours,
      opacity,
      ...(window ? { cal_min: low, cal_max: high } : {}),
    });
  }
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
