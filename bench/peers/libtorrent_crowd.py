"""One of many that fetch by libtorrent: FOLDER TORRENT ADDRESS. Is told of peers, and fetches when told."""
import sys
import time

import libtorrent as lt
from libtorrent_side import hear, open_session, say, wait_for

folder, torrent, address = sys.argv[1:4]
session = open_session("default", "none", address)
# How many are served at once is libtorrent's own choice here.
session.apply_settings({"unchoke_slots_limit": lt.default_settings()["unchoke_slots_limit"]})
parameters = {"ti": lt.torrent_info(torrent), "save_path": folder}
say(event="ready", address=address, port=session.listen_port())
peers = hear()["addresses"]
say(event="connected")
hear()
start = time.perf_counter()
handle = session.add_torrent(parameters)
for peer in peers:
    handle.connect_peer((peer["address"], peer["port"]))
wait_for(session, lt.torrent_finished_alert)
count = parameters["ti"].num_pieces()
while handle.status().num_pieces < count:
    time.sleep(0.001)
say(event="done", seconds=time.perf_counter() - start)
hear()
