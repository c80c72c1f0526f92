/** Lesions of a read with their sizes at baseline and at the follow-up that is shown. */
import { quantity } from "../../ui/numbers";
import { Scrollable } from "../../ui/Scrollable";
import styles from "./ReadPage.module.css";
import type { ReadLesion, ReadMark } from "./hooks";
import { findMark } from "./marks";

const ROLE_WORDS: Record<string, string> = { TARGET: "T", "NON-TARGET": "NT", NEW: "new" };
const STATE_WORDS: Record<string, string> = { ABSENT: "absent", "NOT EVALUABLE": "n/e", EQUIVOCAL: "equivocal", UNEQUIVOCAL: "unequivocal" };

interface Props {
  lesions: readonly ReadLesion[];
  marks: readonly ReadMark[];
  baselineId: string;
  followUpId: string;
  visits: readonly [number, number];
  chosen: string;
  volumetric: boolean;
  onChoose: (lesionId: string) => void;
}

/** What a mark says, as short as it can be. */
export function toCell(lesion: ReadLesion | undefined, mark: ReadMark | undefined, volumetric: boolean): string {
  if (!mark) return "–";
  const { state, longest_diameter_mm, short_axis_mm, volume_ml } = mark.values;
  const word = STATE_WORDS[state ?? ""];
  if (state === "ABSENT" || state === "NOT EVALUABLE") return word ?? "";
  const size = volumetric ? volume_ml : lesion?.is_node ? short_axis_mm : longest_diameter_mm;
  const text = size === null || size === undefined ? "" : quantity(size, volumetric ? "mL" : "mm");
  return [text, word].filter(Boolean).join(" ") || "present";
}

export function LesionList({ lesions, marks, baselineId, followUpId, visits, chosen, volumetric, onChoose }: Props) {
  return (
    <Scrollable label="Lesions" className={styles.lesions}>
      <table className={styles.sizes}>
        <caption className="visually-hidden">Lesions with their sizes</caption>
        <thead>
          <tr>
            <th scope="col">Lesion</th>
            <th scope="col">Role</th>
            <th scope="col" className={styles.number}>
              Visit {visits[0]}
            </th>
            <th scope="col" className={styles.number}>
              {followUpId ? `Visit ${visits[1]}` : "–"}
            </th>
          </tr>
        </thead>
        <tbody>
          {lesions.map((lesion) => (
            <tr key={lesion.lesion_id} data-lesion={lesion.name} data-chosen={lesion.lesion_id === chosen} onClick={() => onChoose(lesion.lesion_id)}>
              <td>
                <button type="button" className={styles.pick} aria-pressed={lesion.lesion_id === chosen} onClick={() => onChoose(lesion.lesion_id)}>
                  {lesion.name}
                </button>
                <span className={styles.quiet}>
                  {" "}
                  {lesion.location.toLowerCase()}
                  {lesion.segment ? ` ${lesion.segment}` : ""}
                </span>
              </td>
              <td data-role={lesion.role}>{ROLE_WORDS[lesion.role] ?? "–"}</td>
              <td className={styles.number} data-size="baseline">
                {toCell(lesion, findMark(marks, baselineId, lesion.lesion_id), volumetric)}
              </td>
              <td className={styles.number} data-size="followup">
                {followUpId ? toCell(lesion, findMark(marks, followUpId, lesion.lesion_id), volumetric) : "–"}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scrollable>
  );
}
