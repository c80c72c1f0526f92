import { Button } from "../../ui/Button";
import { AreaField, SelectField, TextField } from "../../ui/Field";
import styles from "./Protocol.module.css";
import type { Choices, Level, StudyForm } from "./study";

const NUMBER = "[0-9]+([.][0-9]+)?([eE][0-9]+)?";
const NUMBER_SAID = "A number with a point, such as 12.5 or 1e6";

/** The escalation design with its levels. */
export function DesignPart({ form, set, choices }: { form: StudyForm; set: (part: Partial<StudyForm>) => void; choices: Choices }) {
  const design = choices.designs.find((one) => one.name === form.design);
  return (
    <fieldset className={styles.part}>
      <legend>Escalation</legend>
      <SelectField
        label="Design"
        empty="none: no next dose is said"
        value={form.design}
        onChange={(event) => set({ design: event.target.value })}
        options={choices.designs.map((one) => ({ value: one.name, label: one.name }))}
      />
      {design ? (
        <>
          {design.needs_target ? (
            <TextField label="Target DLT probability" required inputMode="decimal" pattern="0[.][0-9]+" title="A fraction such as 0.3" value={form.target} onChange={(event) => set({ target: event.target.value })} hint="A fraction such as 0.3." />
          ) : null}
          <TextField label="Cohort size" unit="patients" required inputMode="numeric" pattern="[0-9]+" value={form.cohort} onChange={(event) => set({ cohort: event.target.value })} />
          <TextField label="Time between first doses" unit="days" required inputMode="decimal" pattern={NUMBER} title={NUMBER_SAID} value={form.delay} onChange={(event) => set({ delay: event.target.value })} hint="At least, at one level." />
          {design.needs_skeleton ? (
            <TextField
              className={styles.wide ?? ""}
              label="Skeleton"
              required
              value={form.skeleton}
              onChange={(event) => set({ skeleton: event.target.value })}
              hint="DLT probability of each level from the lowest, such as 0.05, 0.1, 0.2."
            />
          ) : null}
          <Levels levels={form.levels} onChange={(levels) => set({ levels })} />
          <details className={styles.further} open={form.more !== "" || undefined}>
            <summary>Rules, options and linked populations</summary>
            <AreaField
              label="Further settings"
              unit="JSON"
              maxLength={10_000}
              value={form.more}
              onChange={(event) => set({ more: event.target.value })}
              hint={'An object with "options", "rules" and "populations" as the guide to the trial page describes them; empty for most protocols.'}
            />
          </details>
        </>
      ) : null}
    </fieldset>
  );
}

function Levels({ levels, onChange }: { levels: readonly Level[]; onChange: (levels: Level[]) => void }) {
  const put = (place: number, part: Partial<Level>) => onChange(levels.map((one, index) => (index === place ? { ...one, ...part } : one)));
  return (
    <>
      {levels.map((level, place) => (
        // Levels have no name but their place.
        <div key={place} className={styles.level} role="group" aria-label={`Dose level ${place + 1}`}>
          <span className={styles.name}>Level {place + 1}</span>
          <TextField label="Concentration" unit="PFU/mL" required inputMode="decimal" pattern={NUMBER} title={NUMBER_SAID} value={level.concentration} onChange={(event) => put(place, { concentration: event.target.value })} />
          <TextField label="Most at a visit" unit="mL" required inputMode="decimal" pattern={NUMBER} title={NUMBER_SAID} value={level.volume} onChange={(event) => put(place, { volume: event.target.value })} />
          <Button look="quiet" disabled={levels.length === 1} aria-label={`Remove level ${place + 1}`} onClick={() => onChange(levels.filter((_, index) => index !== place))}>
            Remove
          </Button>
        </div>
      ))}
      <div className={styles.wide}>
        <Button onClick={() => onChange([...levels, { concentration: levels.at(-1)?.concentration ?? "", volume: "" }])}>Add a level</Button>
      </div>
    </>
  );
}
