/** Addresses that go into commands of SMTP. */
import { pathOf } from '../message/mailbox.ts';

/** The address without brackets; `refuse` is told what is wrong with it. @param written latin1 */
export function bareAddress(written: string, refuse: (complaint: string) => never): string {
  const path = pathOf(written);
  return 'complaint' in path ? refuse(path.complaint) : path.path.slice(1, -1);
}
