/** How the two scans are linked: said plainly, and set by hand where the table is not enough. */
import { type RefObject, useState } from "react";
import { Button } from "../../ui/Button";
import { norm } from "../../viewer/space";
import { quantity } from "../../ui/numbers";
import styles from "./ReadPage.module.css";
import type { TwinHandle } from "./Twin";
import { AT_TABLE, type Link } from "./marks";

export function toLinkWords(link: Link): string {
  if (link.how === "off") return "not linked";
  if (link.how === "hand") return `linked by hand, ${quantity(norm(link.shift), "mm")} from the table position`;
  return "linked by table position, not registered";
}

export function useLink(twin: RefObject<TwinHandle | null>) {
  const [link, setLink] = useState<Link>(AT_TABLE);
  function toggle() {
    setLink((held) => (held.how === "off" ? AT_TABLE : { ...held, how: "off" }));
  }
  function linkHere() {
    const shift = twin.current?.readShift();
    if (shift) setLink({ how: "hand", shift });
  }
  const controls = (
    <div className={styles.row} data-link={link.how}>
      <Button className={styles.small ?? ""} pressed={link.how !== "off"} onClick={toggle}>
        Scroll together
      </Button>
      {link.how === "off" ? (
        <Button className={styles.small ?? ""} onClick={linkHere}>
          Link here
        </Button>
      ) : null}
      {link.how === "hand" ? (
        <Button className={styles.small ?? ""} onClick={() => setLink(AT_TABLE)}>
          To the table position
        </Button>
      ) : null}
      <span className={styles.quiet}>{toLinkWords(link)}</span>
    </div>
  );
  return { link, toggle, linkHere, controls };
}
