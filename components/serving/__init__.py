"""The online model server and the models folder it serves from."""
