import { Suspense, lazy, useCallback, useMemo, useState } from "react";
import { Link } from "wouter";
import { useChange, useItem } from "../../api/items";
import { useMay } from "../../shell/me";
import type { Params } from "../../shell/pages";
import { useShortcut } from "../../shell/shortcuts";
import { Badge } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { useNotice } from "../../ui/Notices";
import { Page } from "../../ui/Page";
import { Panel } from "../../ui/Panel";
import { Empty, Failure, Loading } from "../../ui/States";
import { quantity } from "../../ui/numbers";
import type { Mode, Window } from "../../viewer/planes";
import type { Point } from "../../viewer/space";
import { DoPanel } from "./DoPanel";
import { DosePanel } from "./DosePanel";
import { FindingList } from "./FindingList";
import { type Needle, toNeedle } from "./Overlay";
import { PathPanel } from "./PathPanel";
import styles from "./PlanPage.module.css";
import { StructuresPanel } from "./StructuresPanel";
import type { ViewerHandle } from "./Viewer";
import { type Choice, type Drawn, type PlanDocument, type PlanValues, type Scene, findVolume, listChoices, listFindings } from "./model";
import { useBytes, usePlanDocument, useScene, useSkinMap, useSurfaces } from "./useScene";
import { type SessionState, useSession } from "./useSession";

/** The viewer is large: it is fetched beside what it will show. */
const loading = import("./Viewer");
const Viewer = lazy(() => loading);

const WINDOWS: ReadonlyArray<Window & { name: string; key: string }> = [
  { name: "Liver", key: "1", level: 100, width: 250 },
  { name: "Soft tissue", key: "2", level: 50, width: 400 },
  { name: "Bone", key: "3", level: 500, width: 2000 },
  { name: "Lung", key: "4", level: -600, width: 1500 },
];
const TABS = ["Path", "Doses", "Structures", "Findings", "Do"] as const;
type Tab = (typeof TABS)[number];
const SAYS: Record<SessionState, string> = {
  off: "Numbers of the plan",
  opening: "Live numbers are being prepared",
  open: "Live: drag entry or tip",
  failed: "No live numbers",
};

/** A plan on its scan. */
export default function PlanPage({ params }: { params: Params }) {
  const planId = params["planId"] ?? "";
  const scene = useScene(planId);
  const plan = usePlanDocument(planId);
  const item = useItem<PlanValues>("plan", planId);
  const error = scene.error ?? plan.error ?? item.error;
  if (plan.data?.simulated) return <Simulated notice={plan.data.simulated} patientId={params["patientId"] ?? ""} />;
  if (error) {
    return (
      <div className={styles.waits}>
        <Failure
          error={error}
          retry={() => {
            void scene.refetch();
            void plan.refetch();
            void item.refetch();
          }}
        />
      </div>
    );
  }
  if (!scene.data || !plan.data || !item.data) return <Loading what="the plan" />;
  return <Ready scene={scene.data} plan={plan.data} values={item.data.item.values} etag={item.data.etag} />;
}

/** A plan of the demonstration's cohort has amounts and a day, and no scan to look at. */
function Simulated({ notice, patientId }: { notice: string; patientId: string }) {
  return (
    <Page title="Plan">
      <Panel>
        <Empty title="A simulated plan, without images" action={<Link href={`/patient/${patientId}/day`}>Days of injection</Link>}>
          {notice}
        </Empty>
      </Panel>
    </Page>
  );
}

function Ready({ scene, plan, values, etag }: { scene: Scene; plan: PlanDocument; values: PlanValues; etag: string }) {
  const mayWrite = useMay("plan.write");
  const mayDraw = useMay("scan.write") && mayWrite;
  const maySend = useMay("scan.send");
  const volume = useBytes(scene.volumes.volume.address);
  const labels = useBytes(scene.volumes.labels.address);
  const spread = useBytes(scene.volumes.spread?.address);
  const surfaces = useSurfaces(scene.surfaces.address);
  const [showSkin, setShowSkin] = useState(false);
  const [showSpread, setShowSpread] = useState(true);
  const [showOthers, setShowOthers] = useState(false);
  const windows = useMemo(() => toWindows(plan), [plan]);
  const [shades, setShades] = useState<Window>(windows[0] as Window);
  const [mode, setMode] = useState<Mode>("look");
  const [tab, setTab] = useState<Tab>("Path");
  const [hidden, setHidden] = useState<ReadonlySet<number>>(
    () => new Set(scene.labels.filter((row) => ["gas", "contrast_lumen", "bone", "lung"].includes(row.kind)).map((row) => row.value)),
  );
  const [handle, setHandle] = useState<ViewerHandle | null>(null);
  const [shown, setShown] = useState(false);
  const [drawn, setDrawn] = useState<Drawn[]>([]);
  const [measured, setMeasured] = useState<number | null>(null);
  const say = useNotice();
  const change = useChange();

  const choices = useMemo(() => listChoices(plan), [plan]);
  const [chosen, setChosen] = useState(choices[0]?.key ?? "");
  const choice = choices.find((one) => one.key === chosen) ?? null;
  const [dragged, setDragged] = useState<{ entry: Point; tip: Point } | null>(null);
  const session = useSession(scene.plan_id, mayWrite && choices.length > 0);
  const doses = values.dose_changes ?? [];
  const skinFacts = scene.skin_maps.find((one) => one.lesion_id === choice?.lesionId) ?? scene.skin_maps[0];
  const skin = useSkinMap(skinFacts?.address, showSkin);

  const planned = useMemo(() => (choice ? toNeedle(choice.puncture) : null), [choice]);
  const live = dragged ? (session.asked?.answer ?? null) : null;
  const needle = useMemo<Needle | null>(() => {
    if (!planned || !dragged) return planned;
    const same = session.asked && session.asked.wish.entry === dragged.entry && session.asked.wish.tip === dragged.tip;
    const deposits = same ? (session.asked?.answer.puncture.tracks.flatMap((track) => track.deposits) ?? []) : [];
    return { entry: dragged.entry, tip: dragged.tip, pivot: null, tips: [dragged.tip], deposits };
  }, [planned, dragged, session.asked]);
  const others = useMemo(
    () => [
      ...(dragged && planned ? [planned] : []),
      ...(showOthers ? choices.filter((one) => one.key !== chosen).map((one) => toNeedle(one.puncture)) : []),
    ],
    [choices, chosen, showOthers, dragged, planned],
  );

  const [at, setAt] = useState<Point | null>(() => (planned ? planned.tip : null));
  const { ask, forget } = session;
  const drag = useCallback(
    (end: "entry" | "tip", to: Point) => {
      if (!choice || !planned) return;
      setDragged((held) => {
        const now = held ?? { entry: planned.entry, tip: planned.tip };
        const next = { ...now, [end]: to };
        ask({ lesionId: choice.lesionId, ...next, volumeMl: findVolume(plan, doses, choice.lesionId) });
        return next;
      });
    },
    [choice, planned, ask, plan, doses],
  );
  const reset = useCallback(() => {
    setDragged(null);
    forget();
  }, [forget]);
  const pick = useCallback(
    (key: string) => {
      reset();
      setChosen(key);
      const found = choices.find((one) => one.key === key);
      if (found) setAt(toNeedle(found.puncture).tip);
    },
    [choices, reset],
  );
  const onReady = useCallback((made: ViewerHandle) => setHandle(made), []);
  const onShown = useCallback(() => setShown(true), []);
  const drop = useCallback(() => setAt((held) => held), []);

  async function keep(fields: Partial<PlanValues>, reason: string, done: string) {
    await change.mutateAsync({ method: "PATCH", path: `/api/plan/${scene.plan_id}`, etag, body: { ...fields, reason } });
    say(done);
  }
  const chosenPunctures = values.chosen_punctures ?? [];
  async function choose(one: Choice) {
    const ofLesion = new Set(choices.filter((other) => other.lesionId === one.lesionId).map((other) => other.key));
    const before = chosenPunctures;
    const next = [...before.filter((key) => !ofLesion.has(key)), one.key];
    await keep({ chosen_punctures: next }, `${one.key} chosen for ${one.lesionId}`, `${one.key} is chosen for ${one.lesionId}`);
  }

  for (const preset of windows) useShortcut(preset.key, `Window: ${preset.name}`, () => setShades(preset));
  useShortcut("m", "Measure, or stop measuring", () => setMode((now) => (now === "measure" ? "look" : "measure")));
  useShortcut("s", "Skin map", () => setShowSkin((on) => !on));
  useShortcut("p", "Predicted spread", () => setShowSpread((on) => !on));
  useShortcut("o", "Other paths", () => setShowOthers((on) => !on));
  useShortcut("t", "Planes through the tip", () => needle && setAt([...needle.tip] as unknown as Point));
  useShortcut("e", "Planes through the entry", () => needle && setAt([...needle.entry] as unknown as Point));
  useShortcut("z", "Whole scan in the planes", () => handle?.planes.resetView());
  useShortcut("r", "Back to the plan's path", reset);
  useShortcut("ArrowUp", "Axial plane toward the head", () => handle?.planes.step("axial", 1));
  useShortcut("ArrowDown", "Axial plane toward the feet", () => handle?.planes.step("axial", -1));

  const puncture = live?.puncture ?? choice?.puncture ?? null;
  const findings = listFindings(plan);
  const cleared = plan.status === "cleared";
  const volumeError = volume.error ?? labels.error;
  const own = dragged !== null && session.asked !== null && !session.waits;
  return (
    <div className={styles.room} data-ready={shown || volumeError !== null} data-session={session.state}>
      <div className={styles.status} data-status={plan.status} data-cleared={cleared}>
        <strong>{cleared ? "Cleared" : "Not cleared"}</strong>
        <span>
          {cleared
            ? "Everything in reach is labelled or declared absent."
            : `Neither labelled nor declared absent: ${plan.missing_structures.join(", ")}. Probabilities are lower bounds.`}
        </span>
        <span className={styles.grow} />
        <span>Visit {plan.visit}</span>
      </div>
      <div className={styles.tools} role="toolbar" aria-label="Viewer">
        {windows.map((preset) => (
          <Button key={preset.name} pressed={shades.level === preset.level && shades.width === preset.width} onClick={() => setShades(preset)} title={`Level ${preset.level} HU, width ${preset.width} HU (${preset.key})`}>
            {preset.name}
          </Button>
        ))}
        <span className={styles.gap} />
        <Button pressed={mode === "measure"} onClick={() => setMode(mode === "measure" ? "look" : "measure")}>
          Measure
        </Button>
        {measured !== null ? <span data-measured={measured}>{quantity(measured, "mm")}</span> : null}
        <span className={styles.gap} />
        {scene.volumes.spread ? (
          <Button pressed={showSpread} onClick={() => setShowSpread(!showSpread)}>
            Spread
          </Button>
        ) : null}
        {skinFacts ? (
          <Button pressed={showSkin} busy={showSkin && skin.isPending} onClick={() => setShowSkin(!showSkin)}>
            Skin map
          </Button>
        ) : null}
        <Button pressed={showOthers} onClick={() => setShowOthers(!showOthers)}>
          Other paths
        </Button>
        <span className={styles.grow} />
        <span className={styles.session} role="status" data-tone={session.state}>
          {mayWrite ? SAYS[session.state] : "Numbers of the plan"}
        </span>
        {session.state === "failed" ? <Button onClick={session.open}>Try again</Button> : null}
      </div>
      <div className={styles.main}>
        {volumeError ? (
          <div className={styles.waits}>
            <Failure error={volumeError} retry={() => void Promise.all([volume.refetch(), labels.refetch()])} />
          </div>
        ) : (
          <Suspense fallback={<Loading what="the viewer" />}>
          <Viewer
            scene={scene}
            volume={volume.data}
            labels={labels.data}
            spread={spread.data}
            waitsForSpread={scene.volumes.spread !== null && spread.error === null}
            surfaces={surfaces.data?.surfaces}
            skin={showSkin ? skin.data : undefined}
            hidden={hidden}
            showSpread={showSpread}
            window={shades}
            mode={mode}
            needle={needle}
            others={others}
            at={at}
            mayDrag={session.state === "open"}
            onDrag={drag}
            onDrop={drop}
            onReady={onReady}
            onMeasured={setMeasured}
            onShown={onShown}
          />
          </Suspense>
        )}
        <aside className={styles.side} aria-label="Plan">
          <div className={styles.tabs} role="tablist" aria-label="Parts of the plan">
            {TABS.map((one) => (
              <button key={one} type="button" role="tab" id={`tab-${one}`} aria-selected={tab === one} aria-controls="plan-panel" tabIndex={tab === one ? 0 : -1} onClick={() => setTab(one)} onKeyDown={(event) => {
                const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
                if (!by) return;
                event.preventDefault();
                const next = TABS[(TABS.indexOf(one) + by + TABS.length) % TABS.length] ?? one;
                setTab(next);
                document.getElementById(`tab-${next}`)?.focus();
              }}>
                {one}
                {one === "Findings" && findings.length > 0 ? ` ${findings.length}` : ""}
              </button>
            ))}
          </div>
          <div className={styles.panel} id="plan-panel" role="tabpanel" aria-labelledby={`tab-${tab}`} tabIndex={0}>
            {tab === "Path" ? (
              choice === null || puncture === null ? (
                <NoPath plan={plan} />
              ) : (
                <>
                  <label className={styles.picker}>
                    <span className="visually-hidden">Path</span>
                    <select value={chosen} onChange={(event) => pick(event.target.value)}>
                      {choices.map((one) => (
                        <option key={one.key} value={one.key}>
                          {one.key} · {one.role} to {one.lesionId} · {quantity(one.puncture.length_mm, "mm", 0)}
                          {chosenPunctures.includes(one.key) ? " · chosen" : ""}
                        </option>
                      ))}
                    </select>
                  </label>
                  <div className={styles.row}>
                    {dragged ? (
                      <>
                        <Badge tone="caution">moved by hand</Badge>
                        <Button onClick={reset}>Back to {choice.key}</Button>
                      </>
                    ) : choice.puncture.tracks.every((track) => track.deposits.length === 0) ? (
                      <span className={styles.quiet}>No place for the volume along it: to look at, or to start from when you drag.</span>
                    ) : mayWrite ? (
                      chosenPunctures.includes(choice.key) ? (
                        <Badge tone="good">chosen for {choice.lesionId}</Badge>
                      ) : (
                        <Button onClick={() => void choose(choice).catch(() => undefined)} busy={change.isPending}>
                          Choose {choice.key} for {choice.lesionId}
                        </Button>
                      )
                    ) : null}
                    {choice.puncture.pivot_lps_mm ? <span className={styles.quiet}>A fan: shown, not dragged</span> : null}
                  </div>
                  {change.error ? <Failure error={change.error} /> : null}
                  {session.problem ? <Failure error={session.problem} /> : null}
                  <div data-live={own ? "fresh" : dragged ? "waits" : "plan"} data-took-ms={own ? Math.round(session.asked?.took_ms ?? 0) : undefined} data-asked={own ? JSON.stringify(session.asked?.wish) : undefined} aria-busy={session.waits}>
                    <PathPanel
                      puncture={puncture}
                      findings={live ? live.findings : choice.puncture.findings}
                      undelivered={live ? live.undelivered_ml : null}
                      unverified={false}
                    />
                  </div>
                </>
              )
            ) : null}
            {tab === "Doses" ? (
              <DosePanel
                plan={plan}
                changes={doses}
                mayWrite={mayWrite}
                onChange={(one) => keep({ dose_changes: [...doses.filter((held) => held.lesion_id !== one.lesion_id), one] }, one.reason, `The volume for ${one.lesion_id} was changed`)}
              />
            ) : null}
            {tab === "Structures" ? (
              <StructuresPanel
                scene={scene}
                accepted={values.accepted_structures ?? []}
                hidden={hidden}
                onHide={(value, hide) =>
                  setHidden((held) => {
                    const next = new Set(held);
                    if (hide) next.add(value);
                    else next.delete(value);
                    return next;
                  })
                }
                mayWrite={mayWrite}
                mayDraw={mayDraw}
                onAccept={(one) =>
                  keep({ accepted_structures: [...(values.accepted_structures ?? []), one] }, `${one.structure.replaceAll("_", " ")} reviewed by ${one.accepted_by}`, `${one.structure.replaceAll("_", " ")} is accepted`)
                }
                planes={handle?.planes ?? null}
                mode={mode}
                onMode={setMode}
                onDrawn={(one) => {
                  setDrawn((all) => [...all, one]);
                  say(`The drawing was saved; a new plan can use it`);
                  setTab("Do");
                }}
              />
            ) : null}
            {tab === "Findings" ? <FindingList findings={findings} none="Nothing was found that a person must look at." /> : null}
            {tab === "Do" ? <DoPanel plan={plan} scene={scene} values={values} mayWrite={mayWrite} maySend={maySend} drawn={drawn} /> : null}
          </div>
        </aside>
      </div>
    </div>
  );
}

/** The liver's window follows its own enhancement, as measured along the plan's paths. */
function toWindows(plan: PlanDocument): typeof WINDOWS {
  const runs = plan.punctures.flatMap((one) => one.runs).filter((run) => run.tissue === "liver");
  const length = runs.reduce((sum, run) => sum + run.to_mm - run.from_mm, 0);
  if (length < 5) return WINDOWS;
  const mean = runs.reduce((sum, run) => sum + run.mean_hu * (run.to_mm - run.from_mm), 0) / length;
  return WINDOWS.map((one) => (one.name === "Liver" ? { ...one, level: Math.round(mean / 10) * 10 } : one));
}

function NoPath({ plan }: { plan: PlanDocument }) {
  return (
    <div className={styles.stack}>
      <p>{plan.lesions.length === 0 ? "No lesion is labelled on this scan." : "No lesion has a path that keeps every hard limit."}</p>
      <FindingList findings={plan.paths.flatMap((path) => path.findings)} none="The search says nothing more." />
    </div>
  );
}

