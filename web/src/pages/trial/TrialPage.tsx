import { useState } from "react";
import { useMay } from "../../shell/me";
import { Badge } from "../../ui/Badge";
import { SelectField } from "../../ui/Field";
import { Columns, Page } from "../../ui/Page";
import { Panel } from "../../ui/Panel";
import { Answered, Empty } from "../../ui/States";
import { day } from "../../ui/numbers";
import { Cohort } from "./Cohort";
import { Exports } from "./Exports";
import { Levels } from "./Levels";
import { NextDose } from "./NextDose";
import { Protocol } from "./Protocol";
import { Response } from "./Response";
import { Survival } from "./Survival";
import { capital } from "../../ui/words";
import styles from "./Trial.module.css";
import { type Criterion, type Rules, type Standing, useOutcomes, useStanding } from "./questions";

/** How the trial stands: what the design says, who holds it up, and what came of the injections. */
export default function TrialPage() {
  const standing = useStanding();
  const [entering, setEntering] = useState(false);
  return (
    <Page title="Trial" ready={standing.data !== undefined || standing.isError} actions={standing.data ? <Head standing={standing.data} /> : null}>
      <Answered asked={standing} what="the trial">
        {(found) => (
          <>
            {found.study ? <Escalation standing={found} /> : null}
            <Protocol studyId={found.study?.study_id ?? ""} today={found.today} entering={entering} onEnter={() => setEntering(true)} onClose={() => setEntering(false)} />
            <Findings />
            <Exports />
          </>
        )}
      </Answered>
    </Page>
  );
}

function Head({ standing }: { standing: Standing }) {
  return (
    <span className={styles.head}>
      {standing.simulated ? <Badge tone="caution">simulated</Badge> : null}
      {standing.study ? (
        <span>
          {standing.study.title}, version {standing.study.protocol_version}, valid from {day(standing.study.valid_from_date)}
        </span>
      ) : null}
    </span>
  );
}

function Escalation({ standing }: { standing: Standing }) {
  const may = useMay("study.write");
  if (standing.plan === null || standing.definition.missing) {
    return (
      <Panel title="Next dose">
        <Empty title="The next dose cannot be said">
          {[...new Set([standing.plan_missing, standing.definition.missing])].map((what) => (what ? `${capital(what)}. ` : ""))}
          {may ? "Enter" : "A data manager enters"} the escalation design and the definition of dose-limiting toxicity with {may ? "a new protocol version, below" : "the protocol version"}.
        </Empty>
      </Panel>
    );
  }
  const plan = standing.plan;
  return (
    <>
      {standing.populations.map((population) => (
        <section key={population.name} className={styles.population} data-population={population.name || "all"}>
          {population.name ? <h2>{population.name}</h2> : null}
          <Columns>
            <NextDose population={population} plan={plan} definition={standing.definition} />
            <Cohort population={population} plan={plan} />
          </Columns>
          <Levels population={population} plan={plan} elsewhere={standing.elsewhere} uncounted={standing.uncounted} />
        </section>
      ))}
    </>
  );
}

/** Response and survival come later than the rest: they take a process of their own on the server. */
function Findings() {
  const [criterion, setCriterion] = useState<Criterion>("recist-1.1");
  const [rules, setRules] = useState<Rules>("itt");
  const outcomes = useOutcomes(criterion, rules);
  return (
    <section className={styles.population} data-outcomes={outcomes.data !== undefined} aria-label="Response and survival">
      <div className={styles.bar}>
        <h2>Response and survival</h2>
        <div className={styles.choices}>
          <SelectField
            label="Criterion"
            value={criterion}
            onChange={(event) => setCriterion(event.target.value as Criterion)}
            options={[
              { value: "recist-1.1", label: "RECIST 1.1" },
              { value: "mrecist", label: "mRECIST" },
            ]}
          />
          <SelectField
            label="Censoring"
            value={rules}
            onChange={(event) => setRules(event.target.value as Rules)}
            options={[
              { value: "itt", label: "Intention to treat" },
              { value: "fda-2007", label: "FDA 2007" },
            ]}
          />
        </div>
      </div>
      <Answered asked={outcomes} what="reads, doses and ends of follow-up, and deriving response and survival">
        {(found) => (
          <>
            <p className={styles.quiet}>
              {found.treated} treated of {found.subjects} patients at your sites ({found.sites.join(", ")}). {found.facts.slice(0, 2).map(([name, text]) => `${name}: ${text}.`).join(" ")}{" "}
              {found.simulated ? <Badge tone="caution">simulated</Badge> : null} {found.partial ? <Badge tone="bad">something was left out</Badge> : null}
            </p>
            <Response outcomes={found} />
            <Survival outcomes={found} />
            <Sources outcomes={found} />
          </>
        )}
      </Answered>
    </section>
  );
}

function Sources({ outcomes }: { outcomes: { unverified: string[]; findings: Array<Record<string, string | number>> } }) {
  return (
    <Panel>
      <details>
        <summary>
          Rests on {outcomes.unverified.length} <em>unverified</em> numbers, and {outcomes.findings.length} remarks about the data
        </summary>
        <div className={styles.sources}>
          <div>
            <h3>Unverified</h3>
            <ul>
              {outcomes.unverified.map((one) => (
                <li key={one}>{one}</li>
              ))}
            </ul>
          </div>
          <div>
            <h3>Remarks</h3>
            <ul>
              {outcomes.findings.map((one, place) => (
                <li key={`${place}${one["rule"]}`}>
                  {one["severity"]}: {one["message"]}
                </li>
              ))}
            </ul>
          </div>
        </div>
      </details>
    </Panel>
  );
}
