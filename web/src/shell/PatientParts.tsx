import { Link, useLocation } from "wouter";
import { useItem } from "../api/items";
import { Badge } from "../ui/Badge";
import { useMe } from "./me";
import { mayOpen, pages } from "./pages";
import styles from "./Shell.module.css";

/** Which patient this is, and the parts of his record. */
export function PatientParts({ patientId }: { patientId: string }) {
  const me = useMe();
  const [here] = useLocation();
  const patient = useItem<{ subject_id?: string; simulated?: boolean }>("patient", patientId, me.rights.includes("patient.read"));
  const parts = pages
    .filter((one) => one.patientPart && mayOpen(one, me))
    .sort((one, other) => (one.patientPart?.order ?? 0) - (other.patientPart?.order ?? 0));
  return (
    <nav className={styles.parts} aria-label="Parts of the patient's record">
      <span className={styles.patient}>
        {patient.data?.item.values.subject_id ?? "Patient"}
        {patient.data?.item.values.simulated ? <Badge tone="caution">simulated</Badge> : null}
      </span>
      {parts.map((one) => {
        const address = one.path.replace(":patientId", patientId);
        return (
          <Link
            key={one.name}
            href={address}
            aria-current={here === address || (address !== `/patient/${patientId}` && here.startsWith(`${address}/`)) ? "page" : undefined}
          >
            {one.patientPart?.label}
          </Link>
        );
      })}
    </nav>
  );
}
