"""The fetching side of libtorrent: FOLDER TORRENT default|high none|forced. Fetches when it is told the port."""
import sys
import time

import libtorrent as lt
from libtorrent_side import hear, open_session, say, wait_for

folder, torrent, preset, encryption = sys.argv[1:5]
session = open_session(preset, encryption)
parameters = {"ti": lt.torrent_info(torrent), "save_path": folder}
say(event="ready")
order = hear()
requested = time.perf_counter()
handle = session.add_torrent(parameters)
handle.connect_peer(("127.0.0.1", order["port"]))
# libtorrent connects on a one-second tick. That wait is not its engine, so the clock starts when the TCP
# connection stands; handshake, bitfield, unchoke and all the rest count.
wait_for(session, lt.peer_connect_alert)
start = time.perf_counter()
# Posted once every piece has passed its hash check; the last ones may still be on their way to the disk.
wait_for(session, lt.torrent_finished_alert)
verified = time.perf_counter() - start
count = parameters["ti"].num_pieces()
while handle.status().num_pieces < count:
    time.sleep(0.001)
seconds = time.perf_counter() - start
peers = handle.get_peer_info()
say(
    event="done",
    seconds=seconds,
    verifiedSeconds=verified,
    connectSeconds=start - requested,
    isEncrypted=any(peer.flags & peer.rc4_encrypted for peer in peers),
)
hear()
