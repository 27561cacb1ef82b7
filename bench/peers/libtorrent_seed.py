"""The seeding side of libtorrent: FOLDER TORRENT default|high none|forced [ADDRESS]. Checks the file, then serves it."""
import sys

import libtorrent as lt
from libtorrent_side import hear, open_session, say, wait_for

folder, torrent, preset, encryption = sys.argv[1:5]
address = sys.argv[5] if len(sys.argv) > 5 else "127.0.0.1"
session = open_session(preset, encryption, address)
session.add_torrent({"ti": lt.torrent_info(torrent), "save_path": folder})
wait_for(session, lt.torrent_finished_alert)
say(event="ready", address=address, port=session.listen_port())
hear()
