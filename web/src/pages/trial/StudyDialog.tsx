import { type FormEvent, useId, useRef, useState } from "react";
import { makeKey } from "../../api/client";
import { type Item, useChange } from "../../api/items";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { SelectField, TextField } from "../../ui/Field";
import { useNotice } from "../../ui/Notices";
import { Answered, Failure } from "../../ui/States";
import { DesignPart } from "./DesignPart";
import styles from "./Protocol.module.css";
import { type Choices, NotUsable, type OpenPlace, type StudyForm, type StudyValues, WINDOW, checkStudy, toForm, toValues, useStudyChoices } from "./study";

/** Enter a protocol version; one after the first begins with what the last one says. */
export function StudyDialog({ last, onClose }: { last: Item<StudyValues> | undefined; onClose: () => void }) {
  const choices = useStudyChoices();
  const [form, setForm] = useState<StudyForm>(() => toForm(last?.values));
  const [problems, setProblems] = useState<string[]>([]);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const key = useRef(makeKey());
  const change = useChange<Item>();
  const say = useNotice();
  const id = useId();
  const set = (part: Partial<StudyForm>) => {
    // Another wish is another change.
    key.current = makeKey();
    setForm((all) => ({ ...all, ...part }));
    setProblems([]);
  };

  async function send(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      const values = toValues(form);
      const found = await checkStudy(values);
      setProblems(found);
      if (found.length > 0) return;
      const { data } = await change.mutateAsync({ method: "POST", path: "/api/study", key: key.current, body: { values } });
      say(`Version ${form.version.trim()} was entered`, () => void remove(data).catch(() => say("The version was changed since: it cannot be undone here")));
      onClose();
    } catch (problem) {
      if (problem instanceof NotUsable) setProblems([problem.message]);
      else setError(problem);
    } finally {
      setBusy(false);
    }
  }

  async function remove(item: Item) {
    await change.mutateAsync({
      method: "POST", path: `/api/study/${item.item_id}/removal`, etag: `"${item.version}"`, body: { reason: "entered by mistake, undone at once" },
    });
    say("The version was taken back");
  }

  return (
    <Dialog
      title={last ? "Enter a new protocol version" : "Enter the protocol version"}
      wide
      onClose={onClose}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" form={id} look="main" busy={busy} disabled={choices.data === undefined}>
            Enter
          </Button>
        </>
      }
    >
      <Answered asked={choices} what="dose protocols, schedules and designs">
        {(found) => (
          <form id={id} className={styles.form} onSubmit={(event) => void send(event)}>
            <Names form={form} set={set} choices={found} last={last} />
            <VisitsPart form={form} set={set} choices={found} />
            <ToxicityPart form={form} set={set} choices={found} />
            <DesignPart form={form} set={set} choices={found} />
          </form>
        )}
      </Answered>
      {problems.length > 0 ? (
        <div className={styles.problems} role="alert" ref={(shown) => shown?.scrollIntoView({ block: "nearest" })}>
          <strong>Not entered: it could not be used as it stands.</strong>
          <ul>
            {problems.map((one) => (
              <li key={one}>{one}</li>
            ))}
          </ul>
        </div>
      ) : null}
      {error ? <Failure error={error} /> : null}
    </Dialog>
  );
}

interface PartProps {
  form: StudyForm;
  set: (part: Partial<StudyForm>) => void;
  choices: Choices;
}

function Names({ form, set, choices, last }: PartProps & { last: Item<StudyValues> | undefined }) {
  return (
    <fieldset className={styles.part}>
      <legend>Protocol</legend>
      <TextField className={styles.wide ?? ""} label="Title" required autoFocus maxLength={400} value={form.title} onChange={(event) => set({ title: event.target.value })} />
      <TextField
        label="Version"
        required
        maxLength={100}
        value={form.version}
        onChange={(event) => set({ version: event.target.value })}
        {...(last ? { hint: `The last one is ${last.values.protocol_version}.` } : {})}
      />
      <TextField label="Valid from" type="date" required value={form.validFrom} onChange={(event) => set({ validFrom: event.target.value })} />
      <TextField label="Study identifier" hint="STUDYID of the datasets." maxLength={100} value={form.code} onChange={(event) => set({ code: event.target.value })} />
      <SelectField
        className={styles.wide ?? ""}
        label="Dose protocol"
        required
        empty="choose"
        value={form.dose}
        onChange={(event) => set({ dose: event.target.value })}
        options={choices.protocols.map((one) => ({ value: one.name, label: one.title }))}
      />
    </fieldset>
  );
}

function VisitsPart({ form, set, choices }: PartProps) {
  const chosen = choices.schedules.find((one) => one.name === form.schedule);
  return (
    <fieldset className={styles.part}>
      <legend>Visits</legend>
      <SelectField
        className={styles.wide ?? ""}
        label="Visit schedule"
        empty="none: no visit is derived"
        value={form.schedule}
        onChange={(event) => set({ schedule: event.target.value, scheduleNumbers: {} })}
        options={choices.schedules.map((one) => ({ value: one.name, label: one.title }))}
      />
      <OpenPlaces
        places={chosen?.open ?? []}
        values={form.scheduleNumbers}
        onChange={(scheduleNumbers) => set({ scheduleNumbers })}
        said="The schedule leaves these to the protocol. A window that is left empty is not set, and its visits are never called late."
      />
    </fieldset>
  );
}

function ToxicityPart({ form, set, choices }: PartProps) {
  const chosen = choices.definitions.find((one) => one.name === form.definition);
  return (
    <fieldset className={styles.part}>
      <legend>Dose-limiting toxicity</legend>
      <SelectField
        className={styles.wide ?? ""}
        label="Definition"
        empty="none: no event is judged"
        value={form.definition}
        onChange={(event) => set({ definition: event.target.value, definitionNumbers: {}, windowDays: "" })}
        options={choices.definitions.map((one) => ({ value: one.name, label: one.title }))}
      />
      <OpenPlaces
        places={chosen?.open ?? []}
        values={form.definitionNumbers}
        onChange={(definitionNumbers) => set({ definitionNumbers })}
        said="The definition leaves these to the protocol. Until all are set, no event is judged and no next dose is said."
      />
      {chosen?.open.some((one) => one.key === WINDOW) ? null : (
        <TextField
          label="DLT window in the protocol"
          unit="days"
          inputMode="numeric"
          pattern="[0-9]+"
          value={form.windowDays}
          onChange={(event) => set({ windowDays: event.target.value })}
          hint="May be empty; the same as in the definition."
        />
      )}
    </fieldset>
  );
}

interface OpenProps {
  places: readonly OpenPlace[];
  values: Record<string, string>;
  onChange: (values: Record<string, string>) => void;
  said: string;
}

const SAID: Record<string, string> = { true: "yes", false: "no" };

/** What a file leaves to the protocol, and what an earlier version set beside it. */
function OpenPlaces({ places, values, onChange, said }: OpenProps) {
  const more = Object.keys(values).filter((key) => places.every((one) => one.key !== key));
  const all = [...places, ...more.map((key) => ({ key, unit: "", words: [], needed: false }))];
  if (all.length === 0) return null;
  return (
    <>
      {all.map((place) => {
        const value = values[place.key] ?? "";
        const change = (to: string) => onChange({ ...values, [place.key]: to });
        const label = toLabel(place.key);
        return place.words.length > 0 ? (
          <SelectField key={place.key} label={label} empty="not set" value={value} onChange={(event) => change(event.target.value)} options={place.words.map((one) => ({ value: one, label: SAID[one] ?? one }))} />
        ) : (
          <TextField key={place.key} label={label} {...(place.unit ? { unit: place.unit } : {})} maxLength={100} placeholder="not set" value={value} onChange={(event) => change(event.target.value)} />
        );
      })}
      <p className={styles.note}>{said}</p>
    </>
  );
}

const LABELS: Record<string, string> = {
  [WINDOW]: "DLT window",
  attribution: "Whose toxicity counts",
  "evaluable.injections_min": "Least injections to be evaluable",
  "evaluable.replace": "Replace who cannot be evaluated",
  "criteria.grade.grade_min": "Lowest grade that counts",
};

/** Places by their usual names; others by their key: ``imaging.window`` is ``Imaging: window``. */
function toLabel(key: string): string {
  const words = LABELS[key] ?? key.replaceAll("_", " ").replaceAll(".", ": ");
  return (words[0] ?? "").toUpperCase() + words.slice(1);
}
