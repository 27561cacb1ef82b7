"""libtorrent as a plain BitTorrent client, for the interop tests.

leech TORRENT FOLDER HOST PORT   downloads from one peer and ends
seed  TORRENT FOLDER             seeds what is in FOLDER; prints its port, runs until it is stopped
leech-seed TORRENT FOLDER HOST PORT   the one, then the other
With "encrypt" as a last word it offers protocol encryption first, as it does by default.
"""
import sys
import time

import libtorrent as lt

mode, torrent, folder = sys.argv[1:4]
settings = {
    "listen_interfaces": "127.0.0.1:0",
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    # All of a test are on one host: a seed that found another peer there would refuse the leech.
    "allow_multiple_connections_per_ip": True,
    "alert_mask": lt.alert.category_t.all_categories if "debug" in sys.argv else 0,
}
if "encrypt" not in sys.argv:
    settings["out_enc_policy"] = 2
    settings["in_enc_policy"] = 2
session = lt.session(settings)
handle = session.add_torrent({"ti": lt.torrent_info(torrent), "save_path": folder})
deadline = time.monotonic() + 60

if mode.startswith("leech"):
    handle.connect_peer((sys.argv[4], int(sys.argv[5])))
while not handle.status().is_seeding:
    for alert in session.pop_alerts():
        print(alert, flush=True)
    if time.monotonic() > deadline:
        sys.exit(f"not done: {handle.status().progress:.3f} {handle.status().errc}")
    time.sleep(0.05)
if mode.endswith("seed"):
    print(f"PORT {session.listen_port()}", flush=True)
    while True:
        time.sleep(1)
