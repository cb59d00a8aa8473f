# The whole daemon as a .tac file, for those who run their services that way:
#
#     GAMEROOM_DATA=/srv/gameroom twistd --nodaemon --python tap/daemon.tac
#
# Settings come from GAMEROOM_* in the environment and from the file that GAMEROOM_CONFIG names, as for `twistd gameroom`.

import os
import sys

from twisted.application.service import Application

from gameroom.config import ConfigError, read_settings
from gameroom.tap import make_service, node_name

try:
    settings = read_settings({}, os.environ, node=node_name())
except ConfigError as error:
    sys.exit(f"gameroom: {error}")

application = Application("gameroom")
make_service(settings).setServiceParent(application)
