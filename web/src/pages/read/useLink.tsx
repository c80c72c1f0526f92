/** How the two scans are linked: by registration where there is one, by the table's position, or by hand; said plainly. */
import { type RefObject, useEffect, useRef, useState } from "react";
import { Button } from "../../ui/Button";
import { SelectField } from "../../ui/Field";
import { norm } from "../../viewer/space";
import { quantity } from "../../ui/numbers";
import { Problem, toSentence } from "../../api/problem";
import styles from "./ReadPage.module.css";
import type { TwinHandle } from "./Twin";
import { type ReadRegistration, isUnderWay, useRegister, useRegistrations, useScanMap } from "./hooks";
import { AT_TABLE, type Link } from "./marks";

/** What links the scans, in a few words. */
export function toLinkWords(link: Link, row?: ReadRegistration): string {
  if (link.how === "off") return "not linked";
  if (link.how === "registration") return `linked by registration, ${row?.stage ?? ""}`;
  if (link.how === "hand") return `linked by hand, ${quantity(norm(link.shift), "mm")} from the table position`;
  return row?.map_address ? "linked by table position" : "linked by table position, not registered";
}

/** How good a registration is, or why there is none. */
export function toQualityWords(row: ReadRegistration | undefined): string {
  if (!row) return "";
  if (row.job_state === "queued") return "The registration waits for its turn.";
  if (row.job_state === "running") return `Being registered: ${row.job_stage || "starting"} …`;
  const residual = row.residual_mm === null ? "residual not known" : `residual ${quantity(row.residual_mm, "mm")}`;
  const where = row.region === "liver" ? "in the liver" : "over the body (the liver is not labelled)";
  if (row.state === "accepted") return `Registration: ${residual} ${where}; a place may be off by ${quantity(row.uncertainty_mm, "mm")} (1 SD).`;
  if (row.state === "doubtful") return `The registration is doubtful: ${residual} ${where}. Compare vessels before you use it.`;
  if (row.state === "not_evaluable") return `Registration failed: ${row.reason}.`;
  if (row.job_state === "failed") return "Registration failed.";
  if (row.job_state === "interrupted") return "Registration was interrupted.";
  return row.reason ? `Not registered: ${row.reason}.` : "";
}

function capitalise(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

interface Wanted {
  readId: string;
  followUpId: string;
  mayAsk: boolean;
}

type Choice = "registration" | "table" | "hand";

export function useLink(twin: RefObject<TwinHandle | null>, { readId, followUpId, mayAsk }: Wanted) {
  const asked = useRegistrations(readId);
  const row = asked.data?.find((one) => one.followup_scan_id === followUpId);
  const map = useScanMap(row?.map_address ?? "");
  const ask = useRegister(readId);
  const [choice, setChoice] = useState<Choice | null>(null);
  const [shift, setShift] = useState<Link["shift"]>(AT_TABLE.shift);
  const [isOn, setOn] = useState(true);
  // A registration that comes while somebody reads is offered; the pictures do not jump by themselves.
  const first = useRef<Record<string, boolean>>({});
  if (row && first.current[followUpId] === undefined) first.current[followUpId] = row.state === "accepted";
  useEffect(() => {
    if (followUpId) setChoice(null);
  }, [followUpId]);

  const wanted = choice ?? (first.current[followUpId] ? "registration" : "table");
  const found = map.data;
  const how = !isOn ? "off" : wanted === "registration" && !found ? "table" : wanted;
  const link = useStable(how, how === "hand" ? shift : AT_TABLE.shift, how === "registration" ? found : undefined);

  function toggle() {
    setOn(!isOn);
  }
  function linkHere() {
    const here = twin.current?.readShift();
    if (!here) return;
    setShift(here);
    setChoice("hand");
    setOn(true);
  }
  function turn() {
    if (!found) return;
    setOn(true);
    setChoice(link.how === "registration" ? "table" : "registration");
  }
  const options = [
    { value: "registration", label: row?.state === "doubtful" ? "Registration (doubtful)" : "Registration" },
    { value: "table", label: "Table position" },
    { value: "hand", label: "By hand" },
  ].filter((one) => (one.value === "registration" ? found : one.value !== "hand" || choice === "hand"));
  const isPoor = row !== undefined && !isUnderWay(row) && row.state !== "accepted";
  // Who may see a read and no scans is not told of their registration either.
  const isBarred = asked.error instanceof Problem && asked.error.status === 403;
  const problem = (isBarred ? null : asked.error) ?? map.error ?? ask.error;
  const controls = (
    <div className={styles.linkBar} data-link={link.how} data-registration={row ? (isUnderWay(row) ? row.job_state : row.state) : "unknown"}>
      <SelectField label="Linked by" className={styles.inline ?? ""} value={wanted === "registration" && !found ? "table" : wanted} options={options} disabled={!isOn} onChange={(event) => setChoice(event.target.value as Choice)} />
      <Button className={styles.small ?? ""} pressed={isOn} onClick={toggle}>
        Scroll together
      </Button>
      {isOn ? null : (
        <Button className={styles.small ?? ""} onClick={linkHere}>
          Link here
        </Button>
      )}
      <span className={styles.linkWords} role="status">
        <span data-link-words={link.how}>{capitalise(toLinkWords(link, row))}.</span>{" "}
        <span className={isPoor ? styles.warns : styles.quiet}>{toQualityWords(row)}</span>
        {problem ? <span className={styles.warns}> {toSentence(problem)}</span> : null}
      </span>
      {isPoor && mayAsk ? (
        <Button className={styles.small ?? ""} busy={ask.isPending} onClick={() => ask.mutate(followUpId)}>
          {row.state === "none" ? "Register" : "Register again"}
        </Button>
      ) : null}
    </div>
  );
  return { link, toggle, linkHere, turn, controls, row };
}

/** The same link as long as nothing of it changes: what follows it would move again for nothing. */
function useStable(how: Link["how"], shift: Link["shift"], map: Link["map"]): Link {
  const held = useRef<Link>(AT_TABLE);
  const { current } = held;
  if (current.how !== how || current.shift !== shift || current.map !== map) held.current = map ? { how, shift, map } : { how, shift };
  return held.current;
}
