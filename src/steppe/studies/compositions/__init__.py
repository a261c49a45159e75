"""What has to be kept of a real activation for its plateau to appear?"""
